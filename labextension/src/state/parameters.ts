import { annotated, choicesOf, ISchema, literalOf, valueOf } from './parameterTypes';

/** A name in the cell tagged `parameters`. */
export interface IParameter {
  name: string;
  /** What it may be: from its annotation, else from its default; null where only Python can tell. */
  schema: ISchema | null;
  /** Its default, to be read; empty where that is long. */
  shown: string;
}

/** What was typed for the names of a cell. */
export type Typed = Readonly<Record<string, string>>;

const PART = /"""[^]*?"""|'''[^]*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|#.*|;[ \t]*|[^]/g;
const ASSIGNMENT = /^([A-Za-z_]\w*)\s*(?::((?:[^="']|"[^"]*"|'[^']*')+))?=(?!=)\s*([^]+)$/;
const SHOWN = 60;

/** The names that a cell assigns at its left edge; the last assignment of a name counts. */
export function parametersOf(source: string): IParameter[] {
  const found = new Map<string, IParameter>();
  for (const statement of statements(source)) {
    const [, name, annotation = '', text = ''] = ASSIGNMENT.exec(statement) ?? [];
    if (name !== undefined) {
      found.set(name, parameter(name, annotation, text.trim()));
    }
  }
  return [...found.values()];
}

/** Statements, without comments; one goes on over lines while a bracket is open. */
function statements(source: string): string[] {
  const found: string[] = [];
  let [open, now] = [0, ''];
  for (const [part] of source.matchAll(PART)) {
    open += '([{'.includes(part) ? 1 : ')]}'.includes(part) ? -1 : 0;
    if (open <= 0 && (part === '\n' || part.startsWith(';'))) {
      found.push(now);
      now = '';
    } else if (!part.startsWith('#')) {
      now += part === '\n' ? ' ' : part;
    }
  }
  return [...found, now];
}

function parameter(name: string, annotation: string, text: string): IParameter {
  const literal = literalOf(text);
  const value = literal?.value;
  const plain: ISchema | null = literal
    ? { type: literal.kind }
    : /^\[[^]*\]$/.test(text)
      ? { type: 'array' }
      : /^\{[^]*\}$/.test(text)
        ? { type: 'object' }
        : null;
  const shown = typeof value === 'string' || typeof value === 'number' ? String(value) : text;
  return { name, schema: annotated(annotation) ?? plain, shown: shown.length > SHOWN ? '' : shown };
}

/** Whether it can be set here at all: no default tells that of an expression, and None alone nothing of what else it may be. */
export function isSettable({ schema }: IParameter): boolean {
  return schema !== null && schema.type !== 'null';
}

/** What was typed for a parameter; empty where it can't be set, and for a choice that there is no more. */
export function typedFor({ name, schema }: IParameter, typed: Typed): string {
  const text = typed[name] ?? '';
  const gone = schema && choicesOf(schema) && valueOf(schema, text) === undefined;
  return !schema || schema.type === 'null' || gone ? '' : text;
}

/** The value that was typed for a parameter: null and others are values, undefined is none; `wrong` for a text that means none. */
export function valueFor(parameter: IParameter, typed: Typed): { value: unknown; wrong: boolean } {
  const text = typedFor(parameter, typed);
  const value = text === '' || !parameter.schema ? undefined : valueOf(parameter.schema, text);
  return { value, wrong: text !== '' && value === undefined };
}
