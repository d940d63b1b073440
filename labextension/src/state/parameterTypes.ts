/** A value as Python writes it and JSON knows it. */
export type Literal = string | number | boolean | null;

/** What JSON Schema calls the kinds of values. */
export type Kind = 'string' | 'integer' | 'number' | 'boolean' | 'null' | 'array' | 'object';

/** The JSON Schema of a parameter, as far as annotations say one: what `promotion/parameter_types.py` makes of it, too. */
export interface ISchema {
  type: Kind | Kind[];
  enum?: Literal[];
  items?: ISchema;
  additionalProperties?: ISchema;
}

/** A part of an annotation: a name with what stands in its brackets, a constant, or alternatives. */
interface INode {
  name?: string;
  of?: INode[];
  value?: Literal;
  kind?: Kind;
  either?: [INode, INode];
}

const TOKEN = /\s*(?:([A-Za-z_][\w.]*)|"([^"\\]*)"|'([^'\\]*)'|(\d[\d_]*(?:\.\d*)?(?:[eE][-+]?\d+)?)|([[\](),|]))/y;
const WORDS: ReadonlyMap<string, Literal> = new Map([
  ['True', true],
  ['False', false],
  ['None', null]
]);
const NAMES: ReadonlyMap<string, Kind> = new Map([
  ['bool', 'boolean'],
  ['int', 'integer'],
  ['float', 'number'],
  ['str', 'string'],
  ['list', 'array'],
  ['dict', 'object'],
  ['List', 'array'],
  ['Dict', 'object']
]);

/** A constant of Python's that JSON knows, with its kind; undefined for anything else. */
export function literalOf(text: string): { value: Literal; kind: Kind } | undefined {
  const [, double, single] = /^(?:"([^"\\]*)"|'([^'\\]*)')$/.exec(text) ?? [];
  const quoted = double ?? single;
  if (quoted !== undefined) {
    return { value: quoted, kind: 'string' };
  }
  if (/^-?\d[\d_]*(?:\.\d*)?(?:[eE][-+]?\d+)?$/.test(text)) {
    return { value: Number(text.replace(/_/g, '')), kind: /[.eE]/.test(text) ? 'number' : 'integer' };
  }
  const value = WORDS.get(text);
  return value === undefined ? undefined : { value, kind: value === null ? 'null' : 'boolean' };
}

/** Reads one annotation; anything but names, brackets, constants and alternatives ends it with null. */
class Reader {
  constructor(private readonly text: string) {
    this.next();
  }

  /** All of it. */
  whole(): INode | null {
    const node = this.alternatives();
    return this.token === undefined && this.at >= this.text.trimEnd().length ? node : null;
  }

  private alternatives(): INode | null {
    let node = this.atom();
    while (node && this.token === '|') {
      this.next();
      const other = this.atom();
      node = other && { either: [node, other] };
    }
    return node;
  }

  private atom(): INode | null {
    const token = this.token;
    this.next();
    if (token === undefined || /^[\])|,]/.test(token)) {
      return null;
    }
    if (token === '(') {
      const inner = this.alternatives();
      return this.takes(')') ? inner : null;
    }
    const constant = literalOf(token);
    if (constant || token === '[') {
      return constant ?? null;
    }
    const name = token.replace(/^.*\./, '');
    return this.takes('[') ? this.subscript(name) : { name };
  }

  private subscript(name: string): INode | null {
    const of: INode[] = [];
    do {
      const part = this.token === ']' ? undefined : this.alternatives(); // a comma may stand at the end
      if (part === null) {
        return null;
      }
      of.push(...(part ? [part] : []));
    } while (this.takes(','));
    return this.takes(']') && of.length > 0 ? { name, of } : null;
  }

  private takes(sign: string): boolean {
    const is = this.token === sign;
    if (is) {
      this.next();
    }
    return is;
  }

  private next(): void {
    TOKEN.lastIndex = this.at;
    const [found] = TOKEN.exec(this.text) ?? [];
    this.at += found?.length ?? 0;
    this.token = found?.trim();
  }

  private at = 0;
  private token: string | undefined;
}

/** What an annotation says; null where it says nothing we know. */
export function annotated(text: string): ISchema | null {
  const node = new Reader(text).whole();
  return node && schemaOf(node);
}

function schemaOf({ name = '', of, value, either }: INode): ISchema | null {
  if (either) {
    return union(schemaOf(either[0]), schemaOf(either[1]));
  }
  if (value !== undefined) {
    return typeof value === 'string' ? annotated(value) : value === null ? { type: 'null' } : null;
  }
  if (of) {
    return subscripted(name, of);
  }
  const known = NAMES.get(name);
  return known ? { type: known } : null;
}

function subscripted(name: string, of: INode[]): ISchema | null {
  if (name === 'Literal') {
    const kinds = [...new Set(of.map(({ kind }) => kind))];
    const [one] = kinds;
    return one && kinds.every(kind => kind !== undefined)
      ? { type: kinds.length === 1 ? one : kinds, enum: of.map(({ value }) => value as Literal) }
      : null;
  }
  const [first, last] = [of[0], of[of.length - 1]];
  if (name === 'Optional') {
    return union(first ? schemaOf(first) : null, { type: 'null' });
  }
  const inner = (last && schemaOf(last)) ?? undefined;
  switch (NAMES.get(name)) {
    case 'array':
      return { type: 'array', ...(inner && { items: inner }) };
    case 'object':
      return { type: 'object', ...(inner && { additionalProperties: inner }) };
    default:
      return null;
  }
}

/** Both, as a list of types: what else is known of one of them is kept where the other is only null. */
function union(one: ISchema | null, other: ISchema | null): ISchema | null {
  if (!one || !other) {
    return null;
  }
  const kept = other.type === 'null' ? one : one.type === 'null' ? other : undefined;
  return {
    ...kept,
    type: [...new Set([...kindsOf(one), ...kindsOf(other)])],
    ...(kept?.enum && { enum: [...kept.enum, null] })
  };
}

/** Its kinds, as a list. */
export function kindsOf({ type }: ISchema): readonly Kind[] {
  return typeof type === 'string' ? [type] : type;
}

/** The values that can be chosen among, where these are few. */
export function choicesOf(schema: ISchema): readonly Literal[] | null {
  const kinds = kindsOf(schema);
  if (schema.enum) {
    return schema.enum;
  }
  const few = kinds.includes('boolean') && kinds.every(kind => kind === 'boolean' || kind === 'null');
  return few ? [true, false, ...(kinds.includes('null') ? [null] : [])] : null;
}

const NUMBER = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/;

const NONE = /^\s*(?:none|null)\s*$/i;

/** What a typed text means as a value of this schema; undefined where it means none. Empty texts are for who calls. */
export function valueOf(schema: ISchema, text: string): unknown {
  const kinds = kindsOf(schema);
  const choices = choicesOf(schema);
  const none = kinds.includes('null') && NONE.test(text) ? null : undefined;
  if (choices) {
    const asJson = choices.find(choice => JSON.stringify(choice) === text);
    const asText = asJson === undefined ? choices.find(choice => choice === text) : asJson;
    return asText === undefined ? none : asText;
  }
  if (none === null) {
    return null;
  }
  if (kinds.includes('string')) {
    return text; // as the command line takes it
  }
  const value = NUMBER.test(text.trim()) ? Number(text) : parsed(text);
  return fits(schema, value) ? value : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // which is what is said of it
  }
}

/** Whether a value is one of a schema. */
export function fits(schema: ISchema, value: unknown): boolean {
  const among = !schema.enum || schema.enum.some(choice => choice === value);
  return among && kindsOf(schema).some(kind => isOf(kind, schema, value));
}

function isOf(kind: Kind, { items, additionalProperties }: ISchema, value: unknown): boolean {
  switch (kind) {
    case 'integer':
      return Number.isSafeInteger(value); // a longer one would arrive as another one
    case 'number':
      return Number.isFinite(value);
    case 'array':
      return Array.isArray(value) && value.every(item => !items || fits(items, item));
    case 'object': {
      const inner = additionalProperties;
      const is = typeof value === 'object' && value !== null && !Array.isArray(value);
      return is && Object.values(value).every(item => !inner || fits(inner, item));
    }
    case 'null':
      return value === null;
    default:
      return typeof value === kind;
  }
}
