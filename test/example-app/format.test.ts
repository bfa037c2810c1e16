import { formatBytes } from '../../example-app/format.ts';

describe('formatBytes', () => {
  it.each([
    [0, '0 bytes'],
    [1, '1 byte'],
    [999, '999 bytes'],
    [1000, '1 KB'],
    [1234, '1.2 KB'],
    [999_949, '999.9 KB'],
    [999_950, '1 MB'],
    [999_999, '1 MB'],
    [1_234_567, '1.2 MB'],
    [999_999_999, '1 GB'],
    [4_000_000_000, '4 GB'],
    [Number.MAX_SAFE_INTEGER, '9 PB'],
    [5e18, '5000 PB'],
  ])('writes %d bytes as people read them: %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});
