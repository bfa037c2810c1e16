/**
 * Imports point down, and there are no circles: `npm run check:imports`. A module imports from its own level and from those
 * above it in this list, types included.
 */
const levels = [
  // What stands on nothing of ours.
  [
    'cookies',
    'errors',
    'expiry',
    'failures',
    'hooks',
    'json',
    'loopback',
    'passport-guards',
    'language',
    'redact',
    'return-path',
    'used-states',
  ],
  // One exchange with the server.
  ['ca', 'connections', 'exchange-errors', 'http', 'proxy'],
  // What is configured.
  ['configuration', 'headers', 'option-names', 'other-strategies', 'scope', 'url'],
  // The steps of RFC 6749, and what is known of the user then.
  [
    'authorization',
    'authorization-page',
    'callback-route',
    'cookie-state',
    'pending-sign-in',
    'profile',
    'registration',
    'state',
    'state-store',
    'token',
    'validate',
    'verify',
    'verify-forms',
  ],
  // The life of the tokens.
  ['client', 'keeper', 'node-oauth'],
  ['options', 'outcome', 'request-options'],
  ['strategy'],
  ['nest', 'typed-strategy'],
  ['index', 'cli/.+'],
];

const modules = (names) => `^lib/(${names.join('|')})[.]ts$`;

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no circles', severity: 'error', from: {}, to: { circular: true } },
    ...levels.slice(0, -1).map((level, index) => ({
      name: `${level[0]} and its level import no higher one`,
      severity: 'error',
      from: { path: modules(level) },
      to: { path: modules(levels.slice(index + 1).flat()) },
    })),
    {
      name: 'every module has its level',
      comment: 'Put the new module into the list of levels.',
      severity: 'error',
      from: { path: '^lib/', pathNot: [modules(levels.flat()), '^lib/testing/'] },
      to: {},
    },
    {
      name: 'the simulated server shares no code with the strategy',
      severity: 'error',
      from: { path: '^lib/testing/' },
      to: { path: '^lib/', pathNot: '^lib/testing/' },
    },
    {
      name: 'only the command line starts the simulated server',
      severity: 'error',
      from: { path: '^lib/', pathNot: '^lib/(testing/|cli/simulate)' },
      to: { path: '^lib/testing/' },
    },
    {
      name: 'the example app knows the package by its name only',
      severity: 'error',
      from: { path: '^example-app/' },
      to: { path: '^lib/' },
    },
  ],
  options: {
    // TypeScript 7 has no API for JavaScript.
    parser: 'swc',
    tsPreCompilationDeps: true,
    includeOnly: '^(lib|example-app)/',
    enhancedResolveOptions: { extensions: ['.ts'] },
  },
};
