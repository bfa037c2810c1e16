import { stillToBeSet } from '../release.ts';

const ready = {
  version: '1.2.3',
  author: 'Ada',
  license: 'MIT',
  repository: { type: 'git', url: 'git+https://git.example.com/ada/passport-powerfolder.git' },
  bugs: 'https://git.example.com/ada/passport-powerfolder/issues',
  homepage: 'https://git.example.com/ada/passport-powerfolder#readme',
};
const changelog = '# Changes\n\n## 1.2.3 (2026-11-27)\n';

describe('release:check', () => {
  it('has nothing to say where all is set', () => {
    expect(stillToBeSet(ready, changelog)).toEqual([]);
  });

  it.each([
    ['repository', { ...ready, repository: undefined }, changelog],
    ['repository', { ...ready, repository: 'somewhere' }, changelog],
    ['bugs', { ...ready, bugs: {} }, changelog],
    ['homepage', { ...ready, homepage: '' }, changelog],
    ['author', { ...ready, author: undefined }, changelog],
    ['private', { ...ready, private: true }, changelog],
    ['CHANGELOG.md', ready, '## 1.2.3, unreleased\n'],
    ['CHANGELOG.md', { ...ready, version: '1.2.4' }, changelog],
    ['CHANGELOG.md', ready, '## 1.2.30 (2026-11-27)\n'],
  ])('says in a sentence that %s is to be set', (name, manifest, changes) => {
    expect(stillToBeSet(manifest, changes)).toEqual([expect.stringContaining(name)]);
  });
});
