import type { TranslationBundle } from '@jupyterlab/translation';

import { ISchema, Kind, kindsOf } from '../../state/parameterTypes';

/** Values to write like. */
function examplesOf(schema: ISchema | undefined): unknown[] {
  const { enum: values, items, additionalProperties } = schema ?? {};
  if (values) {
    return values.slice(0, 2);
  }
  const [kind = 'integer'] = schema ? kindsOf(schema) : [];
  const examples: Record<Kind, () => unknown[]> = {
    integer: () => [1, 2],
    number: () => [0.5, 2],
    string: () => ['a', 'b'],
    boolean: () => [true, false],
    null: () => [null],
    array: () => [examplesOf(items)],
    object: () => [{ a: examplesOf(additionalProperties)[0] }]
  };
  return examples[kind]();
}

function listOf(schema: ISchema, trans: TranslationBundle): string {
  const example = JSON.stringify(examplesOf(schema)[0]);
  switch (schema.items?.enum ? undefined : schema.items?.type) {
    case 'integer':
      return trans.__('a JSON list of whole numbers, such as %1', example);
    case 'number':
      return trans.__('a JSON list of numbers, such as %1', example);
    case 'string':
      return trans.__('a JSON list of texts, such as %1', example);
    default:
      return trans.__('a JSON list, such as %1', example);
  }
}

const LONG = /\d{16}/;

/** What a parameter may be, in words, where something else was typed: "a whole number or none". */
export function expected(schema: ISchema, typed: string, trans: TranslationBundle): string {
  const words: Record<Kind, (one: ISchema) => string> = {
    integer: () => (LONG.test(typed) ? trans.__('a whole number of at most 15 digits') : trans.__('a whole number')),
    number: () => trans.__('a number'),
    string: () => trans.__('text'),
    boolean: () => trans.__('true or false'),
    null: () => trans.__('none'),
    array: one => listOf(one, trans),
    object: one => trans.__('a JSON object, such as %1', JSON.stringify(examplesOf(one)[0]))
  };
  return kindsOf(schema)
    .map(kind => words[kind]({ ...schema, type: kind }))
    .join(trans.__(' or '));
}
