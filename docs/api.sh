#!/usr/bin/env bash
# Makes api.md from the TSDoc in lib. TypeDoc needs a TypeScript older than ours, so npx brings both.
set -euo pipefail
cd "$(dirname "$0")/.."
npx -y -p typedoc@0.28 -p typescript@5.9 -p typedoc-plugin-markdown@4 -c \
  'typedoc --logLevel Error --plugin "$(dirname "$(readlink -f "$(which typedoc)")")/../../typedoc-plugin-markdown/dist/index.js"'
{
  echo '<!-- Made from the TSDoc in lib by npm run docs:api. -->'
  cat reports/api/index.md reports/api/testing.md
} | sed -E 's/^# index$/# passport-powerfolder/; s/^# testing$/# passport-powerfolder\/testing/; s/\((index|testing)\.md#/(#/g' >docs/api.md
