import { createHash } from 'node:crypto';
import { authorizationRequestPage } from '../../lib/authorization-page.ts';

describe('authorizationRequestPage', () => {
  const { html, headers } = authorizationRequestPage(
    'https://pf.example/oauth/allow?a=1&b="><script>',
    'http://localhost:3000/oauth',
  );

  it('escapes the URL that the form goes to', () => {
    expect(html).toContain('action="https://pf.example/oauth/allow?a=1&#38;b=&#34;&#62;&#60;script&#62;"');
  });

  it('ends with its script, which therefore runs only after the session was saved', () => {
    expect(html.endsWith('</script>')).toBe(true);
  });

  it('lets the form lead to the server, from there to an identity provider, and back', () => {
    expect(headers['Content-Security-Policy']).toContain(
      'form-action https: https://pf.example http://localhost:3000;',
    );
  });

  it('allows its own style and script only', () => {
    expect(headers['Content-Security-Policy']).toMatch(
      /^default-src 'none'; style-src 'sha256-[^ ]{44}'; script-src 'sha256-[^ ]{44}';/,
    );
    expect(headers['Content-Security-Policy']).not.toContain('unsafe-inline');
    const [, style = '', script = ''] = /<style>(.*)<\/style>[\s\S]*<script>(.*)<\/script>$/.exec(html) ?? [];
    for (const [directive, text] of Object.entries({ 'style-src': style, 'script-src': script })) {
      const digest = createHash('sha256').update(text).digest('base64');
      expect(headers['Content-Security-Policy']).toContain(`${directive} 'sha256-${digest}';`);
    }
    expect([style, script]).toEqual([expect.stringContaining('button{'), 'document.forms[0].submit()']);
  });

  it('is stored, framed and sniffed by nobody, and tells no other site its address', () => {
    expect(headers).toEqual({
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Length': String(Buffer.byteLength(html)),
      'Cache-Control': 'no-store',
      'Content-Security-Policy': expect.stringMatching(/; base-uri 'none'; frame-ancestors 'none'$/),
      'Referrer-Policy': 'no-referrer',
      'X-Content-Type-Options': 'nosniff',
    });
  });
});
