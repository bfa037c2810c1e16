/** The part of simple-oauth2 that is used here; it has no types of its own. */
declare module 'simple-oauth2' {
  export class AuthorizationCode {
    constructor(config: object);
    authorizeURL(params: { redirect_uri: string; state: string }): string;
    getToken(params: { code: string; redirect_uri: string }): Promise<{ token: { access_token: string } }>;
  }
}
