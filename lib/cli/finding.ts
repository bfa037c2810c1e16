/** What the commands find out. */

/** What was found out, and what to do about it. */
export interface Finding {
  /** `ok` for what was seen to be well, and nothing else; `unclear` where the server does not tell. */
  verdict: 'ok' | 'wrong' | 'unclear';
  about: string;
  text: string;
}

export const wrong = (about: string, text: string): Finding => ({ verdict: 'wrong', about, text });
export const ok = (about: string, text: string): Finding => ({ verdict: 'ok', about, text });
export const unclear = (about: string, text: string): Finding => ({ verdict: 'unclear', about, text });
