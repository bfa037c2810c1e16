import type { Account, Directory } from './accounts.ts';
import { CookieJar } from './cookie-jar.ts';
import { type Form, formsIn } from './forms.ts';
import { navigate } from './navigate.ts';

/** The servers that run in this process, by the origins that they have. */
export const running = new Map<string, Directory>();

/** What {@link signIn} needs of supertest's or superagent's agent. */
export interface TestAgent<T> {
  get(path: string): TestRequest<T>;
  post(path: string): TestRequest<T>;
}

interface TestRequest<T> extends PromiseLike<T> {
  redirects(most: number): this;
  type(type: string): this;
  send(body: string): this;
}

/** What is read of such an agent's answers. */
interface TestResponse {
  status: number;
  headers: Record<string, string>;
  text: string;
  request: { url: string };
}

/** How {@link signIn} signs in. */
export interface SignInOptions {
  /** Who. @default the server's first account */
  username?: string;
  /** Their password. @default what a simulated server in this process has for them */
  password?: string;
  /** Whether Decline is pressed. @default false */
  decline?: boolean;
  /** The browser's cookies: they are sent, and what comes is kept in them. @default none */
  cookies?: CookieJar;
}

interface Answer {
  url: string;
  status: number;
  location: string | null;
  text: string;
}

const mostSteps = 40;

/**
 * Signs in at an application as somebody at a browser does: opens the address, follows redirects from the application to the
 * simulated PowerFolder server and back, logs in, at an identity provider where there is one, and presses Allow or Decline.
 *
 * @param url The address at which a sign-in begins; with an agent its path.
 * @param options See {@link SignInOptions}; with `agent`, an agent of supertest's, requests to the application are made by it,
 * and the cookies are its own.
 * @returns The final answer: a `Response` as fetch gives it, or the agent's.
 * @throws {Error} when it comes to no end, at a log-in that fails, or for a user name that the server does not know.
 *
 * @example
 * const cookies = new CookieJar();
 * const response = await signIn('http://localhost:3000/auth/powerfolder', { cookies });
 * @example
 * const agent = supertest.agent(app);
 * await signIn('/auth/powerfolder', { agent, decline: true });
 */
export async function signIn<T>(url: string, options: SignInOptions & { agent: TestAgent<T> }): Promise<T>;
export async function signIn(url: string | URL, options?: SignInOptions): Promise<Response>;
export async function signIn<T>(
  url: string | URL,
  options: SignInOptions & { agent?: TestAgent<T> } = {},
): Promise<T | Response> {
  return await new Visit(options).to(String(url));
}

/** A visit of somebody's, from page to page. */
class Visit<T> {
  readonly #options: SignInOptions & { agent?: TestAgent<T> };
  readonly #cookies: CookieJar;
  /** Origins of the application: an agent makes the requests to them, and nobody logs in on its own pages. */
  readonly #application = new Set<string>();
  #last: T | Response | undefined;
  #logIns = 0;
  /** The page whose button was pressed last. */
  #page: URL | undefined;

  constructor(options: SignInOptions & { agent?: TestAgent<T> }) {
    this.#options = options;
    this.#cookies = options.cookies ?? new CookieJar();
  }

  async to(start: string): Promise<T | Response> {
    const { agent } = this.#options;
    const first = new URL(start, agent && nowhere);
    this.#application.add(first.origin);
    let answer = await this.#ask(first, undefined);
    for (let steps = 0; steps < mostSteps; steps++) {
      const next = answer.location === null ? this.#formOf(answer) : { url: new URL(answer.location, answer.url) };
      if (!next) return this.#last as T | Response;
      // A redirect leads on from the page that began it.
      if ('body' in next) this.#page = new URL(answer.url);
      answer = await this.#ask(next.url, 'body' in next ? next.body : undefined);
    }
    throw new Error(
      `The sign-in came to no end within ${mostSteps} steps; the last was at ${answer.url.split('?', 1)[0]}`,
    );
  }

  async #ask(url: URL, body: string | undefined): Promise<Answer> {
    // Where the answer is to come: the application, whatever address it has in tests.
    const redirectURI = url.searchParams.get('redirect_uri');
    if (redirectURI !== null && URL.canParse(redirectURI)) this.#application.add(new URL(redirectURI).origin);
    const { agent } = this.#options;
    return agent && this.#application.has(url.origin)
      ? await this.#askAgent(agent, url, body)
      : await this.#navigate(url, body);
  }

  async #askAgent(agent: TestAgent<T>, { pathname, search }: URL, body: string | undefined): Promise<Answer> {
    const path = pathname + search;
    const request = body === undefined ? agent.get(path) : agent.post(path).type('form').send(body);
    const response = await request.redirects(0).then(
      (given) => given,
      // superagent rejects for a status that is an error; the answer is with it.
      (error: { response?: T }) => {
        if (error?.response) return error.response;
        throw error;
      },
    );
    this.#last = response;
    const { status, headers, text, request: asked } = response as unknown as TestResponse;
    this.#application.add(new URL(asked.url).origin);
    return { url: asked.url, status, location: locationOf(status, headers['location']), text };
  }

  async #navigate(url: URL, body: string | undefined): Promise<Answer> {
    const response = await navigate(url, { from: this.#page, cookie: this.#cookies.header(url), body });
    this.#cookies.set(url, response.headers.getSetCookie());
    this.#last = response;
    const { status, headers } = response;
    // The caller reads it, too.
    return {
      url: url.href,
      status,
      location: locationOf(status, headers.get('location')),
      text: await response.clone().text(),
    };
  }

  /** What somebody does with a page: logs in, decides, or presses the button of a form that sends itself. */
  #formOf({ url, text, status }: Answer): { url: URL; body: string } | undefined {
    const isApplications = this.#application.has(new URL(url).origin);
    for (const form of formsIn(text)) {
      const action = new URL(form.action, url);
      // Such as the page of an authorization request by POST, and the way back from an identity provider.
      const sendsItself =
        status === 200 &&
        form.method === 'post' &&
        action.origin !== new URL(url).origin &&
        form.fields.every(({ type }) => type === 'hidden');
      const isOurs = !isApplications || action.searchParams.has('redirect_uri');
      if (sendsItself && isOurs) return { url: action, body: encoded(form) };
      // Any other form of the application's, to sign out or to log in another way, is nobody's to send.
      if (isApplications) continue;
      if (form.fields.some(({ type }) => type === 'password')) return { url: action, body: this.#logIn(form, action) };
      const decision = this.#options.decline ? 'decline' : 'allow';
      const button = form.buttons.find(({ value }) => value === decision);
      if (button) return { url: action, body: encoded(form, { [button.name]: button.value }) };
    }
    return undefined;
  }

  #logIn(form: Form, { origin }: URL): string {
    if (this.#logIns++ > 0) throw new Error(`The log-in at ${origin} failed: check username and password`);
    const { username, password } = this.#who(origin);
    const user = form.fields.find(({ type }) => type !== 'password' && type !== 'hidden');
    const secret = form.fields.find(({ type }) => type === 'password');
    return encoded(form, { [user?.name ?? '']: username, [secret?.name ?? '']: password });
  }

  #who(origin: string): Pick<Account, 'username' | 'password'> {
    const { username, password } = this.#options;
    if (username !== undefined && password !== undefined) return { username, password };
    const directory = running.get(origin);
    if (!directory) throw new Error(`Give username and password: the server at ${origin} does not run in this process`);
    const account = username === undefined ? directory.accounts[0] : directory.account(username);
    if (!account) throw new Error(`The server at ${origin} has no account "${username}"`);
    return { username: account.username, password: password ?? account.password };
  }
}

/** Stands for the application's origin until it is known. */
const nowhere = 'http://application.invalid';

function locationOf(status: number, location: string | null | undefined): string | null {
  return status >= 300 && status <= 399 ? (location ?? null) : null;
}

function encoded(form: Form, values: Record<string, string> = {}): string {
  const hidden = form.fields.filter(({ type, name }) => type === 'hidden' && name !== '');
  return new URLSearchParams({
    ...Object.fromEntries(hidden.map(({ name, value }) => [name, value])),
    ...values,
  }).toString();
}
