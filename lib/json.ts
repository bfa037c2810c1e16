/**
 * Objects that come from elsewhere: a server's JSON, a session, options. Only what they have themselves counts, and nothing
 * of what somebody may have put on `Object.prototype` (R57).
 */

/**
 * The JSON object in a body.
 *
 * @returns undefined for anything else: HTML, nothing, `null`, an array. The parser's error is not passed on, since its
 * message quotes the body.
 */
export function jsonObject(body: string): Record<string, unknown> | undefined {
  try {
    const json: unknown = JSON.parse(body);
    return isObject(json) ? json : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The same members, and none from `Object.prototype`, where anything may stand (R57): undici would take it for an option,
 * such as the path of another socket, and we for what a server or a session said.
 */
export function bare<T extends object>(members: T): T {
  return Object.assign(Object.create(null), members);
}

/** A member that the object has itself: what others put on `Object.prototype` is nobody's word (R57). */
export function own<T extends object, K extends keyof T>(object: T, member: K): T[K] | undefined {
  return Object.hasOwn(object, member) ? object[member] : undefined;
}

/** Levels of an answer that are taken. `JSON.parse` reads more than `JSON.stringify`, and so a session, can write again. */
export const deepest = 64;

export function isShallow(json: unknown, levels = deepest): boolean {
  if (typeof json !== 'object' || json === null) return true;
  return levels > 0 && Object.values(json).every((value) => isShallow(value, levels - 1));
}

/** Whether a JSON value is an object, and not `null` or an array. */
export function isObject(json: unknown): json is Record<string, unknown> {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

/** A member of a JSON object; undefined for one that is `null`, or inherited and so was not sent. */
export function member(json: Record<string, unknown>, name: string): unknown {
  return Object.hasOwn(json, name) ? (json[name] ?? undefined) : undefined;
}
