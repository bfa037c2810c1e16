/** All that is fuzzed. */
import { commandLine } from './arguments.ts';
import { callback } from './callback.ts';
import { cookies } from './cookies.ts';
import { environmentLines } from './environment-lines.ts';
import { multistatus } from './multistatus.ts';
import type { FuzzProperty } from './property.ts';
import { tokenAnswers } from './token-answers.ts';

export const properties: FuzzProperty[] = [callback, tokenAnswers, cookies, multistatus, commandLine, environmentLines];
