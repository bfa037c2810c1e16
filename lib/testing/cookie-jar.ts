interface Cookie {
  host: string;
  name: string;
  value: string;
  path: string;
  secure: boolean;
}

/** The cookies of a browser, for tests: by host name, as ports do not count, and by path (RFC 6265). */
export class CookieJar {
  #cookies: Cookie[] = [];

  /**
   * The value of the header `Cookie` for a request, `''` without any.
   *
   * @example fetch(url, { headers: { cookie: cookies.header(url) } })
   */
  header(url: string | URL): string {
    const { protocol, hostname, pathname } = new URL(url);
    // Browsers trust what is on this machine as they trust https.
    const isSecure = protocol === 'https:' || /^(localhost|127\..*|\[::1\])$/.test(hostname);
    return this.#cookies
      .filter(({ host, path, secure }) => host === hostname && isBelow(pathname, path) && (isSecure || !secure))
      .sort((one, other) => other.path.length - one.path.length)
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ');
  }

  /** Keeps what an answer sets, and forgets what it ends. @param lines The answer's `Set-Cookie` headers. */
  set(url: string | URL, lines: string[]): void {
    const { hostname: host, pathname } = new URL(url);
    for (const line of lines) {
      const [pair = '', ...attributes] = line.split(';').map((part) => part.trim());
      const [name = '', ...value] = pair.split('=');
      const attribute = (wanted: string) =>
        attributes.find((each) => each.toLowerCase().split('=', 1)[0] === wanted)?.replace(/^[^=]*=?/, '');
      const given = attribute('path');
      const path = given?.startsWith('/') ? given : pathname.replace(/\/[^/]*$/, '') || '/';
      this.#cookies = this.#cookies.filter((each) => each.host !== host || each.name !== name || each.path !== path);
      const [maxAge, expires] = [attribute('max-age'), attribute('expires')];
      const isOver = maxAge === undefined ? Date.parse(expires ?? '') <= Date.now() : Number(maxAge) <= 0;
      if (isOver) continue;
      this.#cookies.push({ host, name, value: value.join('='), path, secure: attribute('secure') !== undefined });
    }
  }
}

function isBelow(pathname: string, path: string): boolean {
  return pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`);
}
