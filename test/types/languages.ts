/** A language of the example app that lacks something does not compile. */
import { de } from '../../example-app/languages/de.ts';
import type { Texts } from '../../example-app/languages/en.ts';

const { home, ...others } = de;

// @ts-expect-error: a part is missing.
export const withoutPart: Texts = others;

// @ts-expect-error: a text is missing.
export const withoutText: Texts = { ...de, home: { ...home, welcome: undefined } };

// @ts-expect-error: a heading has no text below it.
export const withoutHalf: Texts = { ...de, errors: { ...de.errors, notFound: ['Diese Seite gibt es nicht'] } };

// @ts-expect-error: a sentence does not take its number.
export const withoutNumber: Texts = { ...de, folders: { ...de.folders, entries: 'Einträge' } };
