/** A page to begin with: **copy it and views/pattern.ejs**, and mount your copy in app.ts beside this one. */
import { type Request, type Response, Router } from 'express';
import { textsOf } from './language.ts';
import { requireSignIn } from './sign-in.ts';

export function patternRoutes(base: string): Router {
  const routes = Router();
  routes.use('/pattern', requireSignIn(base));

  routes.get('/pattern', (_req, res) => {
    res.render('pattern', { values: {} });
  });

  // Only forms of this app come here: app.ts refuses what other sites send.
  routes.post('/pattern', (req: Request, res: Response) => {
    const values = req.body as Record<string, unknown>;
    const note = typeof values?.['note'] === 'string' ? values['note'].trim() : '';
    const { pattern } = textsOf(res);
    const mistake = note === '' ? pattern.noteMissing : note.length > 80 ? pattern.noteLong : undefined;
    // What was typed stays in the form.
    res.status(mistake ? 422 : 200).render('pattern', { values, mistake, saved: mistake ? undefined : note });
  });
  return routes;
}
