import type { DatasetDetail } from '../api/generated/openapi';

/** What code of each name is written in; any other name is a language's own. */
const LANGUAGES: Record<string, string> = {
  pandas: 'python',
  polars: 'python',
  duckdb: 'python',
  path: 'python',
  r: 'r',
  sql: 'sql'
};

/** Code that opens a dataset, and the library that it is written with. */
export interface ISnippet {
  library: string;
  code: string;
}

type Snippets = DatasetDetail['snippets'];

/** The language of code that is written with a library. */
export function languageOf(library: string): string {
  return LANGUAGES[library] ?? library;
}

/** A language by one name, whatever its kernel calls it: `R`, `ipython`, `SQLite`. */
export function plainLanguage(name: string): string {
  const plain = name.toLowerCase();
  return plain.includes('sql') ? 'sql' : plain.endsWith('python') ? 'python' : plain;
}

/** The libraries that a dataset offers to a notebook of a language; all where none is known. */
export function librariesFor(snippets: Snippets, language: string | null): string[] {
  const all = Object.keys(snippets);
  return language === null ? all : all.filter(library => languageOf(library) === plainLanguage(language));
}

/** What is inserted into a notebook of a language: the library that one chose, or pandas, or what there is. */
export function snippetFor(snippets: Snippets, language: string | null, chosen: string): ISnippet | null {
  const offered = librariesFor(snippets, language);
  const library = [chosen, 'pandas'].find(one => offered.includes(one)) ?? offered[0];
  const code = library === undefined ? undefined : snippets[library];
  return library === undefined || code === undefined ? null : { library, code };
}
