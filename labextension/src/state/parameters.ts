/** A value as Python writes it and JSON knows it. */
export type Literal = string | number | boolean | null;

/** A name in the cell tagged `parameters`; `value` is undefined where it is an expression that only Python can tell. */
export interface IParameter {
  name: string;
  value: Literal | undefined;
}

const ASSIGNMENT = /^([A-Za-z_]\w*)\s*(?::[^=]+)?=(?!=)\s*(.+)$/;
const TEXT = /^(?:"([^"\\]*)"|'([^'\\]*)')$/;
const NUMBER = /^-?(?:\d[\d_]*)(?:\.\d*)?(?:[eE][-+]?\d+)?$/;
const WORDS: Readonly<Record<string, Literal>> = { True: true, False: false, None: null };

/** The names that a cell assigns at its left edge, with their values; the last one of a name counts. */
export function parametersOf(source: string): IParameter[] {
  const found = new Map<string, Literal | undefined>();
  for (const line of source.split('\n')) {
    const [, name, text] = ASSIGNMENT.exec(line) ?? [];
    if (name !== undefined && text !== undefined) {
      found.set(name, literal(text));
    }
  }
  return [...found].map(([name, value]) => ({ name, value }));
}

function literal(text: string): Literal | undefined {
  const bare = withoutComment(text);
  const quoted = TEXT.exec(bare);
  if (quoted) {
    return quoted[1] ?? quoted[2] ?? '';
  }
  if (NUMBER.test(bare)) {
    return Number(bare.replace(/_/g, ''));
  }
  return WORDS[bare];
}

/** What stands before a comment; a `#` in quotes begins none. */
function withoutComment(text: string): string {
  const [found] = /^(?:[^#"']|"[^"\\]*"|'[^'\\]*')*/.exec(text) ?? [text];
  return found.trim();
}

/** A typed text as a value of the same kind as the default; undefined for none, or one that isn't of its kind. */
export function valueLike(fallback: Literal | undefined, typed: string): Literal | undefined {
  if (typed === '') {
    return undefined;
  }
  if (typeof fallback === 'number') {
    return Number.isNaN(Number(typed)) ? undefined : Number(typed);
  }
  if (typeof fallback === 'boolean') {
    return typed === 'true';
  }
  return typed;
}
