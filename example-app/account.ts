/** The account page: who somebody is to this app, and for how long it may use their account. */
import { type Request, type Response, Router } from 'express';
import { formatOf, textsOf } from './language.ts';
import { currentUser, requireSignIn } from './sign-in.ts';
import { orSignInAgain, tokensOf } from './tokens.ts';
import type { SignedInUser } from './user.ts';
import type { Users } from './users.ts';

export function accountRoutes(base: string, users: Users): Router {
  const routes = Router();
  const show = async (req: Request, res: Response) => {
    const user = currentUser(req) as SignedInUser;
    const { expiresAt, refreshToken } = await tokensOf(user.id, users);
    const format = formatOf(res);
    res.render('account', {
      initials: initials(user.displayName),
      quota: quota(user, res),
      expires: expiresAt && {
        over: expiresAt < Date.now(),
        at: new Date(expiresAt).toISOString(),
        text: format.time(expiresAt),
        fromNow: format.fromNow(expiresAt),
      },
      renewable: refreshToken !== undefined,
    });
  };
  routes.get('/account', requireSignIn(base), orSignInAgain(base, show));
  return routes;
}

/** "Ada King Lovelace" is "AL". */
function initials(name: string): string {
  const words = name.split(/[\s.@_]+/).filter(Boolean);
  const [first = '', last = ''] = words.length > 1 ? [words[0], words.at(-1)] : words;
  return ([...first][0] ?? '').concat([...last][0] ?? '').toUpperCase();
}

function quota({ spaceUsed: used, spaceAllowed: allowed }: SignedInUser, res: Response) {
  if (used === undefined || !allowed) return undefined;
  const { account } = textsOf(res);
  const format = formatOf(res);
  const percent = format.percent(used / allowed);
  return {
    used: format.bytes(used),
    allowed: account.of.replace('{space}', () => format.bytes(allowed)),
    bar: Math.min((used / allowed) * 100, 100),
    sentence:
      used > allowed
        ? account.over(percent, format.bytes(used - allowed))
        : account.used(percent, format.bytes(allowed - used)),
  };
}
