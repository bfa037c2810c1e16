/** Times and sizes as people read them. */

const units = ['bytes', 'KB', 'MB', 'GB', 'TB', 'PB'];

/** 1,234,567 is "1.2 MB". */
export function formatBytes(bytes: number): string {
  if (bytes === 1) return '1 byte';
  let size = bytes;
  let power = 0;
  // What would be rounded to 1000 KB is 1 MB.
  while (size >= (power === 0 ? 1000 : 999.95) && power < units.length - 1) {
    size /= 1000;
    power++;
  }
  return `${size.toFixed(power === 0 ? 0 : 1).replace(/\.0$/, '')} ${units[power]}`;
}

const time = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' });

/** The server does not know the visitor's time zone, so it names its own. */
export function formatTime(epochMilliseconds: number): string {
  return `${time.format(epochMilliseconds)} UTC`;
}

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'always' });

/** "in 23 hours", "5 minutes ago". */
export function timeFromNow(epochMilliseconds: number, now = Date.now()): string {
  const minutes = (epochMilliseconds - now) / 60_000;
  if (Math.abs(minutes) < 1) return minutes < 0 ? 'just now' : 'in less than a minute';
  if (Math.abs(minutes) < 90) return relative.format(Math.trunc(minutes), 'minute');
  const hours = minutes / 60;
  return Math.abs(hours) < 48
    ? relative.format(Math.round(hours), 'hour')
    : relative.format(Math.round(hours / 24), 'day');
}

const date = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeZone: 'UTC' });

export function formatDate(epochMilliseconds: number): string {
  return Number.isNaN(epochMilliseconds) ? '' : date.format(epochMilliseconds);
}
