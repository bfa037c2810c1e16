import { parseProfile } from '../../lib/profile.ts';

const ada = {
  ID: 'a/B+9',
  username: 'ada',
  firstname: 'Ada',
  surname: 'Lovelace',
  emails: ['ada@example.org', ' ', 7, 'countess@example.org'],
  spaceUsed: 1,
};

describe('parseProfile', () => {
  it("gives Passport's normalised profile", () => {
    expect(parseProfile(ada, 'raw')).toEqual({
      provider: 'powerfolder',
      id: 'a/B+9',
      username: 'ada',
      displayName: 'Ada Lovelace',
      name: { givenName: 'Ada', familyName: 'Lovelace' },
      emails: [{ value: 'ada@example.org' }, { value: 'countess@example.org' }],
      _raw: 'raw',
      _json: ada,
    });
  });

  it.each([
    ['first name and surname', { firstname: 'Ada', surname: 'L' }, 'Ada L'],
    ['the surname alone', { surname: 'L', emails: ['a@b'] }, 'L'],
    ['the first e-mail', { firstname: ' ', emails: ['a@b'] }, 'a@b'],
    ['an e-mail that is no list', { emails: 'a@b' }, 'a@b'],
    ['the user name', { username: 'ada', emails: [] }, 'ada'],
    ['the ID', { username: null }, 'x'],
  ])('displays %s', (_, members, expected) => {
    expect(parseProfile({ ID: 'x', ...members }).displayName).toBe(expected);
  });

  it('leaves out what it does not know', () => {
    expect(parseProfile({ ID: 'x' })).toEqual({
      provider: 'powerfolder',
      id: 'x',
      displayName: 'x',
      _raw: '{"ID":"x"}',
      _json: { ID: 'x' },
    });
  });

  it.each([
    ['account', { account: ada }],
    ['ResultSet.Result', { ResultSet: { Result: [ada] } }],
    ['ResultSet.Result without a list', { ResultSet: { Result: ada } }],
  ])('finds the account in %s', (_, json) => {
    expect(parseProfile(json).id).toBe('a/B+9');
  });

  it('R54: takes null for absent in every member', () => {
    const nothing = { username: null, firstname: null, surname: null, custom1: null };
    for (const emails of [null, [null], [null, null], []]) {
      const { displayName, ...profile } = parseProfile({ ID: 'x', ...nothing, emails });
      expect(displayName).toBe('x');
      expect(Object.keys(profile)).toEqual(['provider', 'id', '_raw', '_json']);
    }
    expect(parseProfile({ ID: 'x', emails: [null, 'a@b'] }).emails).toEqual([{ value: 'a@b' }]);
  });

  it.each([
    ['an ID beside the account', { ID: null, account: ada }],
    ['an account beside the result', { account: null, ResultSet: { Result: [ada] } }],
    ['a result beside the account', { ResultSet: null, account: ada }],
    ['an account beside the ID', { account: null, ResultSet: null, ID: 'a/B+9' }],
    ['a member of the result beside another', { ResultSet: { Result: [null, ada] } }],
  ])('R54: takes null for absent, as %s', (_, json) => {
    expect(parseProfile(json).id).toBe('a/B+9');
  });

  it.each([
    ['no ID', { username: 'ada', emails: ['ada@example.org'] }],
    ['an empty ID', { ID: '' }],
    ['a blank ID', { ID: '  ' }],
    ['a number as ID', { ID: 7 }],
    ['null as ID', { ID: null }],
    ['a list as ID', { ID: ['x'] }],
    ['another spelling', { id: 'x' }],
    ['nothing', {}],
    ['two accounts', { ResultSet: { Result: [ada, ada] } }],
    ['no account', { ResultSet: { Result: [] } }],
    ['null for an account', { account: null }],
    ['null for all of them', { ID: null, account: null, ResultSet: null }],
    ['null for a result', { ResultSet: { Result: null } }],
    ['null for the only result', { ResultSet: { Result: [null] } }],
    ['null in the account', { account: { ID: null } }],
    ['a list in a list', { ResultSet: { Result: [[ada]] } }],
    ['an inherited ID', JSON.parse('{"__proto__":{"ID":"x"}}')],
  ])('R31: signs nobody in by %s', (_, json) => {
    expect(() => parseProfile(json)).toThrow(
      expect.objectContaining({ name: 'PowerFolderError', code: 'profile_without_id' }),
    );
  });
});

describe('R30: credentials in an account', () => {
  const secrets = {
    token: 'SENTINEL',
    Password: 'SENTINEL',
    passwordHash: 'SENTINEL',
    deep: [{ apiToken: 'SENTINEL', x: 1 }],
  };

  it.each([
    ['flat', { ID: 'x', username: 'ada', ...secrets }],
    ['in account', { account: { ID: 'x', username: 'ada', ...secrets }, token: 'SENTINEL' }],
    [
      'in a result set',
      { ResultSet: { Result: [{ ID: 'x', username: 'ada', ...secrets }] }, client_secret: 'SENTINEL' },
    ],
  ])('are in no member of the profile: %s', (_, json) => {
    const raw = JSON.stringify(json);
    const profile = parseProfile(json, raw);
    expect(JSON.stringify(profile)).not.toContain('SENTINEL');
    expect(profile).toMatchObject({ id: 'x', username: 'ada', _json: { ID: 'x', deep: [{ x: 1 }] } });
    expect(JSON.parse(profile._raw)).not.toEqual(json);
  });

  it.each([
    '{"ID":"x","\\u0074oken":"SENTINEL"}',
    '{"ID":"x","a":{"token":"SENTINEL"},"a":{}}',
    '{"ID":"x","PassWord":"SENTINEL"}',
  ])('are not in the raw body either: %s', (raw) => {
    expect(JSON.stringify(parseProfile(JSON.parse(raw), raw))).not.toContain('SENTINEL');
  });

  it('leave a body without them as it came', () => {
    const raw = ' {"ID" : "x"} ';
    expect(parseProfile(JSON.parse(raw), raw)._raw).toBe(raw);
  });
});
