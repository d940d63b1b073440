import { parseMistake } from '../features/quotas/PolicyMistakes';

describe('a mistake of the policy', () => {
  it('is taken apart', () => {
    const text =
      '/etc/jupyter/guardrails/guardrails.yaml:2:3: unknown key `mx`\n      mx: 1\n      ^\n    did you mean `max`?';
    expect(parseMistake(text)).toEqual({
      place: 'guardrails.yaml:2:3',
      message: 'unknown key `mx`',
      source: 'mx: 1\n^',
      hint: 'did you mean `max`?'
    });
  });

  it('may have neither a place nor a line', () => {
    expect(parseMistake('there is no policy here\n    write one')).toEqual({
      place: '',
      message: 'there is no policy here',
      source: '',
      hint: 'write one'
    });
  });

  it('keeps the caret under its letter in a long line', () => {
    const line = `    kernels: {profiles: [small, large], default: small, mx: 8, terminals: small}`;
    const { source } = parseMistake(`g.yaml:11:57: unknown key\n    ${line}\n    ${' '.repeat(line.indexOf('mx'))}^`);
    const [shown = '', caret = ''] = source.split('\n');
    expect(shown.length).toBeLessThanOrEqual(25);
    expect(shown.startsWith('…')).toBe(true);
    expect(shown.slice(caret.indexOf('^')).startsWith('mx: 8')).toBe(true);
  });

  it('keeps it in a short indented line too', () => {
    const { source } = parseMistake('g.yaml:3:7: must be a number\n        max: x\n             ^');
    const [shown = '', caret = ''] = source.split('\n');
    expect(shown[caret.indexOf('^')]).toBe('x');
  });

  it('reads words that look like a place only where one is', () => {
    expect(parseMistake('policy.d: holds 501 files, 500 at most').place).toBe('');
  });
});
