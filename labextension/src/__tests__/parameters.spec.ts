import fs from 'fs';
import path from 'path';

import { nullTranslator } from '@jupyterlab/translation';

import { expected } from '../features/submit/expected';
import { IParameter, parametersOf, valueFor } from '../state/parameters';
import { annotated, fits, ISchema, valueOf } from '../state/parameterTypes';

interface ICase {
  line: string;
  schema: ISchema;
  takes: Record<string, unknown>;
  refuses: string[];
}

/** Python's tests read the same. */
const TABLE = path.join(__dirname, '../../../tests/promotion/parameter_types.json');
const CASES = JSON.parse(fs.readFileSync(TABLE, 'utf8')) as ICase[];

function only(source: string): IParameter {
  const [parameter, ...others] = parametersOf(source);
  expect(others).toEqual([]);
  return parameter as IParameter;
}

describe('parameters of a tagged cell', () => {
  it.each(CASES)('$line: means the same as in Python', ({ line, schema, takes, refuses }) => {
    expect(only(line).schema).toEqual(schema);
    for (const [text, value] of Object.entries(takes)) {
      expect([text, valueOf(schema, text)]).toEqual([text, value]);
      expect([text, fits(schema, value)]).toEqual([text, true]);
    }
    for (const text of refuses) {
      expect([text, valueOf(schema, text)]).toEqual([text, undefined]);
    }
  });

  it.each([
    ['year = 2_026', '2026'],
    ["name = 'a # b' # words", 'a # b'],
    ['empty = ""', ''],
    ['draft = True', 'True'],
    ['names = ["a", "b"]', '["a", "b"]'],
    ['kinds: list[str] = [\n  "a",  # one\n  "b",\n]', '[   "a",     "b", ]'],
    [`long = [${'1, '.repeat(40)}]`, '']
  ])('%s: reads as %p', (line, shown) => expect(only(line).shown).toBe(shown));

  it.each(['days = 7 * 24', "quoted = 'it\\'s'", 'when = today()', 'b: "Frame" = load()'])(
    '%s: only Python can tell what it is',
    line => expect(only(line).schema).toBeNull()
  );

  it.each(['if year == 2026:', '    inner = 1', 'print(year)', '# year = 1', 'a, b = 1, 2', '"""\nyear = 1\n"""', ''])(
    '%p: assigns nothing',
    line => expect(parametersOf(line)).toEqual([])
  );

  it('knows each name once, with its last value, wherever a statement ends', () =>
    expect(parametersOf('a = 1; b = 2\na = "x"').map(({ name, shown }) => [name, shown])).toEqual([
      ['a', 'x'],
      ['b', '2']
    ]));

  it.each([
    '',
    'int |',
    '| int',
    'list[',
    'list[]',
    'list[int',
    'int]',
    'Literal[x]',
    '1 + 1',
    'f()',
    'int int',
    '(int'
  ])('an annotation of %p says nothing', text => expect(annotated(text)).toBeNull());

  it('takes none in words, and no number that would arrive as another one', () => {
    const optional = only('a: int | None = 1');
    expect(['none', ' None ', 'null'].map(text => valueFor(optional, { a: text }).value)).toEqual([null, null, null]);
    expect(valueFor(optional, { a: '12345678901234567890' })).toEqual({ value: undefined, wrong: true });
    expect(valueFor(only('a: list[int] = []'), { a: '[12345678901234567890]' }).wrong).toBe(true);
  });

  it('sets nothing for a choice that is gone, nor where nothing can be set', () => {
    const none = { value: undefined, wrong: false };
    expect(valueFor(only('a: Literal["x"] = "x"'), { a: '"y"' })).toEqual(none);
    expect(valueFor(only('a: Literal["x"] = "x"'), { a: '"x"' })).toEqual({ value: 'x', wrong: false });
    expect(valueFor(only('a = today()'), { a: '1' })).toEqual(none);
    expect(valueFor(only('a = None'), { a: '1' })).toEqual(none);
    expect(valueFor(only('a = 1'), {})).toEqual(none);
  });

  it('takes none for a choice, and a choice of that name before it', () => {
    expect(valueFor(only('a: Literal["x"] | None = "x"'), { a: 'none' }).value).toBeNull();
    expect(valueFor(only('a: Literal["none"] | None = "none"'), { a: 'none' }).value).toBe('none');
  });

  it('keeps the kinds of choices apart', () =>
    expect(['1', '"1"'].map(text => valueFor(only('a: Literal["1", 1] = 1'), { a: text }).value)).toEqual([1, '1']));

  it.each([
    ['int', 'a whole number'],
    ['float | None', 'a number or none'],
    ['list[int]', 'a JSON list of whole numbers, such as [1,2]'],
    ['list[float]', 'a JSON list of numbers, such as [0.5,2]'],
    ['list[str]', 'a JSON list of texts, such as ["a","b"]'],
    ['list[Literal["x", "y"]]', 'a JSON list, such as ["x","y"]'],
    ['list[list[bool]]', 'a JSON list, such as [[true,false]]'],
    ['list | None', 'a JSON list, such as [1,2] or none'],
    ['dict[str, float]', 'a JSON object, such as {"a":0.5}'],
    ['bool | int', 'true or false or a whole number']
  ])('%s is named', (annotation, words) => {
    const schema = annotated(annotation) as ISchema;
    const said = expected(schema, '', nullTranslator.load(''));
    expect(said).toBe(words);
  });

  it('says how long a number may be where it is too long', () =>
    expect(expected({ type: 'integer' }, '12345678901234567890', nullTranslator.load(''))).toMatch(
      /at most 15 digits/
    ));

  it('names examples that are taken', () => {
    for (const { schema } of CASES.filter(({ schema: { type } }) => type === 'array' || type === 'object')) {
      const said = expected(schema, '', nullTranslator.load(''));
      expect([said, valueOf(schema, said.replace(/.* such as /, ''))]).not.toEqual([said, undefined]);
    }
  });
});
