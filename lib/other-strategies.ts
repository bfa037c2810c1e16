/** What other strategies call our options, and which of theirs have no counterpart here. */
import { type Advice, letters } from './option-names.ts';

/** What other strategies call our options, without looking at case, `-` and `_`. */
const otherNames: Record<string, string> = {
  baseurl: 'serverURL',
  host: 'serverURL',
  issuer: 'serverURL',
  redirecturi: 'callbackURL',
  redirecturl: 'callbackURL',
  authorizationendpoint: 'authorizationURL',
  tokenendpoint: 'tokenURL',
  profileurl: 'userProfileURL',
  passrequesttocallback: 'passReqToCallback',
  headers: 'customHeaders',
  agent: 'dispatcher',
  cacert: 'ca',
  cafile: 'ca',
  certificateauthority: 'ca',
  rejectunauthorized: 'ca',
  httpproxy: 'proxy',
  httpsproxy: 'proxy',
  secret: 'clientSecret',
  usepkce: 'pkce',
};

const furtherParameter =
  'for a further parameter of the authorization request, override authorizationParams in a subclass';
const proxied =
  "remove it: callbackURL is absolute, and nothing of it comes from a request's headers. For an HTTP proxy on the way to the server, give the option proxy";

/** What to do about options of other strategies that have none here. */
const otherOptions: Record<string, string> = {
  trustproxy: proxied,
  prompt: furtherParameter,
  accesstype: furtherParameter,
  lang: furtherParameter,
  loginhint: furtherParameter,
  session: "give it to passport.authenticate('powerfolder', { session: false })",
  name: "a subclass has a name of its own by override name = '…'",
  responsetype: 'remove it: the response is always an authorization code',
};

/** What to say about an option that there is not. */
export const adviceOnOtherOptions: Advice = (name) => {
  const spelling = letters(name);
  if (Object.hasOwn(otherNames, spelling)) return { meant: String(otherNames[spelling]) };
  if (Object.hasOwn(otherOptions, spelling)) return { todo: String(otherOptions[spelling]) };
  return undefined;
};
