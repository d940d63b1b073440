import { nullTranslator } from '@jupyterlab/translation';

import { ago, baseName, bytes, digits, duration, shellWord, sentence } from '../format';

const trans = nullTranslator.load('test');

describe('format', () => {
  it.each([
    ['team', 'team'],
    ['team/churn.v2', 'team/churn.v2'],
    ['data science', "'data science'"],
    ["ana's $(x); y", "'ana'\\''s $(x); y'"],
    ['', "''"]
  ])('%s is the word %s of a shell', (text, word) => expect(shellWord(text)).toBe(word));

  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '0.98 KiB'],
    [1536, '1.5 KiB'],
    [2 * 2 ** 30, '2 GiB'],
    [1.21 * 2 ** 30, '1.21 GiB'],
    [123456789, '118 MiB'],
    [2 ** 50, '1024 TiB']
  ])('%d bytes are %s', (count, text) => expect(bytes(count)).toBe(text));

  it.each([
    [0.004, '0'],
    [3.14159, '3.14'],
    [31.4159, '31.4'],
    [314.159, '314'],
    [2.5, '2.5']
  ])('%d has digits %s', (value, text) => expect(digits(value)).toBe(text));

  it.each([
    [0.31, '0.3 s'],
    [45, '45 s'],
    [180, '3 min'],
    [8 * 3600, '8 h'],
    [7 * 86400, '7 days']
  ])('%d seconds are %s', (seconds, text) => expect(duration(seconds, trans)).toBe(text));

  it('says how long ago', () => {
    const now = Date.parse('2026-03-01T12:00:00Z');
    expect(ago('2026-03-01T11:59:50Z', now, trans)).toBe('just now');
    expect(ago('2026-03-01T11:55:00Z', now, trans)).toBe('5 min ago');
    expect(ago('2026-02-01T12:00:00Z', now, trans)).toContain('2026');
    expect(ago('never', now, trans)).toBe('');
  });

  it.each([
    ["nobody's cell", "Nobody's cell"],
    ['no: it is not', 'No: it is not'],
    ['nyc/flights is gone', 'nyc/flights is gone'],
    ['`rm` is not there', '`rm` is not there'],
    ['3 modules', '3 modules'],
    ['', '']
  ])('%s by itself is %s', (text, said) => expect(sentence(text)).toBe(said));

  it('takes the last part of a path', () => {
    expect(baseName('a/b/c.ipynb')).toBe('c.ipynb');
    expect(baseName('c.ipynb')).toBe('c.ipynb');
  });
});
