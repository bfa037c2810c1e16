/** Who is signed in, as the session on the server keeps it. */
export interface SignedInUser {
  /** The account's ID at the PowerFolder server. E-mail addresses are unverified and can change: don't identify by them. */
  id: string;
  username: string | undefined;
  displayName: string;
  emails: string[];
  /** Bytes. */
  spaceUsed: number | undefined;
  spaceAllowed: number | undefined;
}

/** Another version of this app may have written something else into the session. */
export function isSignedInUser(user: unknown): user is SignedInUser {
  if (typeof user !== 'object' || user === null) return false;
  const { id, username, displayName, emails, spaceUsed, spaceAllowed } = user as Record<string, unknown>;
  return (
    typeof id === 'string' &&
    id !== '' &&
    (username === undefined || typeof username === 'string') &&
    typeof displayName === 'string' &&
    Array.isArray(emails) &&
    emails.every((email) => typeof email === 'string') &&
    [spaceUsed, spaceAllowed].every((space) => space === undefined || bytes(space) !== undefined)
  );
}

export function bytes(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;
}
