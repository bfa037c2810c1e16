/** What is in a folder, by the multistatus of a server: which of its responses is the folder itself, and what the others are. */
import { longestName, type Multistatus, type Response, succeeded } from './multistatus.ts';

export interface Entry {
  name: string;
  folder: boolean;
  /** Bytes; undefined where the server does not say. */
  size: number | undefined;
  /** Epoch milliseconds; the time of its creation, where the server does not know another. */
  modified: number | undefined;
}

export interface Folder {
  entries: Entry[];
  /** How many more are there that the server describes in a way that cannot be used. */
  omitted: number;
  /** Whether there are more than are read at once. */
  tooMany: boolean;
}

/**
 * Tells the folder itself from what is in it. Servers write the way to both alike, but not always as it was asked for: under
 * another context path, or in other letters; and some leave the folder itself out.
 *
 * @param requested The segments of the URL that was asked for, decoded.
 * @param names The last of them: the names on the way to the folder.
 */
export function arrange(
  { responses, tooMany }: Multistatus,
  requested: string[],
  names: string[],
): { self: Response | undefined } & Folder {
  const places = responses.map((response) => ({
    response,
    at: folded(response.path),
    below: response.path.length > 0 ? folded(response.path.slice(0, -1)) : undefined,
  }));
  let here = folded(requested);
  if (!places.some(({ at, below }) => at === here || below === here)) here = busiest(places, folded(names)) ?? here;

  const inPlace = places.filter(({ at }) => at === here).map(({ response }) => response);
  const self = inPlace.find(isFolder) ?? inPlace[0];
  const folder: Folder = { entries: [], omitted: 0, tooMany };
  for (const { response, at, below } of places) {
    // What is deeper is in a folder of this one.
    if (response === self || (below !== here && at.startsWith(here + separator))) continue;
    const { name, garbled, status } = response;
    if (below === here && !garbled && succeeded(status) && name !== undefined)
      folder.entries.push(entryOf(response, name));
    else folder.omitted++;
  }
  return { self, ...folder };
}

/** Where a listing is, when it is not where it was asked for: the place that most of it is at or directly below. */
function busiest(places: { at: string; below: string | undefined }[], names: string): string | undefined {
  const counts = new Map<string, number>();
  for (const { at, below } of places) {
    counts.set(at, (counts.get(at) ?? 0) + 1);
    if (below !== undefined) counts.set(below, (counts.get(below) ?? 0) + 1);
  }
  const most = Math.max(...counts.values());
  const candidates = [...counts.keys()].filter((place) => counts.get(place) === most);
  const named = (place: string) => names !== '' && `${separator}${place}`.endsWith(separator + names);
  // An empty folder is as busy as the one above it, which is not in the listing.
  return candidates.find(named) ?? candidates.find((place) => places.some(({ at }) => at === place)) ?? candidates[0];
}

/** No name has it. */
const separator = '\0';

/** Alike for paths that are the same to a server which does not tell letters by case or by Unicode normalisation. */
function folded(path: string[]): string {
  return path.map((name) => (name.length > longestName ? name : name.normalize('NFC').toLowerCase())).join(separator);
}

export function isFolder({ collection, properties, href }: Response): boolean {
  // Only where the server does not say what it is, the slash at the end does.
  return collection || (!properties.has('resourcetype') && href.endsWith('/'));
}

export function entryOf(response: Response, name: string): Entry {
  const { properties } = response;
  const folder = isFolder(response);
  const size = Number(/^\d{1,15}$/.exec(properties.get('getcontentlength') ?? '')?.[0] ?? Number.NaN);
  return {
    name,
    folder,
    size: folder || Number.isNaN(size) ? undefined : size,
    modified: timeOf(properties.get('getlastmodified')) ?? timeOf(properties.get('creationdate')),
  };
}

/** RFC 4918, 15: a date of HTTP or of ISO 8601. Without a time zone it would be this machine's. */
function timeOf(text = ''): number | undefined {
  const time = /\d\d:\d\d.*(?:GMT|UTC|Z|[+-]\d\d:?\d\d)$/i.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}
