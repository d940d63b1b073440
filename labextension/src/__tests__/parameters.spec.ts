import { parametersOf, valueLike } from '../state/parameters';

describe('parameters of a tagged cell', () => {
  it.each([
    ['year = 2026', { name: 'year', value: 2026 }],
    ['share: float = -1_000.5e2  # of all', { name: 'share', value: -100050 }],
    ["name = 'a # b' # words", { name: 'name', value: 'a # b' }],
    ['name = "ana"', { name: 'name', value: 'ana' }],
    ['empty = ""', { name: 'empty', value: '' }],
    ['draft = True', { name: 'draft', value: true }],
    ['until = None', { name: 'until', value: null }],
    ['days = 7 * 24', { name: 'days', value: undefined }],
    ["quoted = 'it\\'s'", { name: 'quoted', value: undefined }],
    ['names = ["a", "b"]', { name: 'names', value: undefined }]
  ])('%s', (line, expected) => expect(parametersOf(line)).toEqual([expected]));

  it.each(['if year == 2026:', '    inner = 1', 'print(year)', '# year = 1', 'a, b = 1, 2', ''])(
    '%s: assigns nothing',
    line => expect(parametersOf(line)).toEqual([])
  );

  it('knows each name once, with its last value', () =>
    expect(parametersOf('a = 1\nb = 2\na = 3')).toEqual([
      { name: 'a', value: 3 },
      { name: 'b', value: 2 }
    ]));

  it.each([
    [1, '2.5', 2.5],
    [1, 'x', undefined],
    [true, 'false', false],
    ['a', '7', '7'],
    [null, 'text', 'text'],
    ['a', '', undefined]
  ] as const)('a value like %p from %p', (fallback, typed, expected) =>
    expect(valueLike(fallback, typed)).toBe(expected)
  );
});
