import fs from 'fs';
import path from 'path';
import ts from 'typescript';

const SOURCES = path.join(__dirname, '..');
/** Attributes of elements and of JupyterLab's objects that people read. */
const READ = new Set(['label', 'title', 'caption', 'placeholder', 'alt', 'okLabel', 'aria-label', 'aria-description']);

function sourceFiles(): string[] {
  const all = fs.readdirSync(SOURCES, { recursive: true, encoding: 'utf8' });
  return all.filter(name => /\.tsx?$/.test(name) && !/__tests__|generated|\.d\.ts$/.test(name));
}

/** Words; an example of a path or a dataset's name is the same in every language. */
function isText(node: ts.Node | undefined): boolean {
  return (
    node !== undefined && ts.isStringLiteralLike(node) && /[A-Za-z]{2}/.test(node.text) && !/^\S+\/\S+$/.test(node.text)
  );
}

function nameOf(node: ts.JsxAttribute | ts.PropertyAssignment): string {
  return node.name.getText().replace(/^['"]|['"]$/g, '');
}

function valueOf(node: ts.JsxAttribute | ts.PropertyAssignment): ts.Node | undefined {
  const value = node.initializer;
  return value && ts.isJsxExpression(value) ? value.expression : value;
}

/** Every text for people that stands in the source itself, with its place. */
function untranslated(name: string, text: string): string[] {
  const source = ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true, ts.ScriptKind.TSX);
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    const named = ts.isJsxAttribute(node) || ts.isPropertyAssignment(node);
    const bare = named && READ.has(nameOf(node)) && isText(valueOf(node));
    if (bare || (ts.isJsxText(node) && /[A-Za-z]/.test(node.text))) {
      found.push(`${name}:${source.getLineAndCharacterOfPosition(node.getStart()).line + 1} ${node.getText().trim()}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

describe('every text for people', () => {
  it('goes through the translator', () => {
    const names = sourceFiles();
    expect(names.length).toBeGreaterThan(50);
    const all = names.flatMap(name => untranslated(name, fs.readFileSync(path.join(SOURCES, name), 'utf8')));
    expect(all).toEqual([]);
  });

  it('is found where it does not', () => {
    const text =
      'const a = <p title="Say it">Hello</p>;\nconst b = { label: `Open` };\nconst c = <p title={say("x")} />;';
    expect(untranslated('a.tsx', text)).toEqual(['a.tsx:1 title="Say it"', 'a.tsx:1 Hello', 'a.tsx:2 label: `Open`']);
  });
});
