import { Refusal } from './answer.ts';

/** What a PROPFIND asks for (RFC 4918 section 14.20). */
export type Wanted = 'allprop' | 'propname' | PropertyName[];

export interface PropertyName {
  namespace: string;
  name: string;
}

/**
 * Reads the body of a PROPFIND: as little of XML as it takes to see what is asked for, and that it is XML.
 *
 * @throws {Refusal} 500 for what is none, as webdav-servlet has it.
 */
export function wantedBy(body: string): Wanted {
  if (body.trim() === '') return 'allprop';
  const found: { path: string; property: PropertyName }[] = [];
  const open: { tag: string; local: string; namespaces: Map<string, string> }[] = [];
  const tags = /<(\/?)([\w.:-]+)((?:\s+[\w.:-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>/y;
  let rest = body
    .replace(/^\uFEFF?\s*(<\?xml[^>]*\?>)?/, '')
    .replace(/<!--[\s\S]*?-->/g, '')
    .trim();
  let isOver = false;
  while (rest !== '') {
    tags.lastIndex = 0;
    const [whole, slash, tag = '', attributes = '', empty] = tags.exec(rest) ?? [];
    if (whole === undefined || isOver) throw noXML();
    rest = rest.slice(whole.length).replace(/^[^<]+/, (text) => (open.length > 0 || text.trim() === '' ? '' : text));
    if (slash) {
      if (open.pop()?.tag !== tag) throw noXML();
    } else {
      const namespaces = new Map(open.at(-1)?.namespaces);
      for (const [, prefix = '', one, other] of attributes.matchAll(
        /\sxmlns:?([\w.-]*)\s*=\s*(?:"([^"]*)"|'([^']*)')/g,
      )) {
        namespaces.set(prefix, one ?? other ?? '');
      }
      const [name = '', prefix = ''] = tag.split(':', 2).reverse();
      const namespace = namespaces.get(prefix);
      if (namespace === undefined && prefix !== '') throw noXML();
      found.push({
        path: [...open.map(({ local }) => local), name].join('/'),
        property: { namespace: namespace ?? '', name },
      });
      if (!empty) open.push({ tag, local: name, namespaces });
      // What is asked for stands in the third level.
      if (open.length > 16) throw noXML();
    }
    isOver = open.length === 0;
  }
  if (open.length > 0) throw noXML();
  const isThere = (path: string) =>
    found.some((element) => element.path === path && element.property.namespace === 'DAV:');
  if (!isThere('propfind')) throw noXML();
  if (isThere('propfind/propname')) return 'propname';
  if (!isThere('propfind/prop')) return 'allprop';
  return found.filter(({ path }) => /^propfind\/prop\/[^/]+$/.test(path)).map(({ property }) => property);
}

function noXML(): Refusal {
  return new Refusal(500, 'The body of a PROPFIND must be XML: <propfind xmlns="DAV:">…</propfind>.');
}
