import { act, fireEvent, render, screen } from '@testing-library/react';
import { nullTranslator } from '@jupyterlab/translation';
import React from 'react';

import { DatasetDetails } from '../features/datasets/DatasetDetails';
import { insertDataset } from '../features/datasets/insertion';
import { DatasetModel } from '../state/datasetModel';
import { librariesFor, snippetFor } from '../state/snippets';
import { aDetail, FakeApi } from './fakeApi';
import { FakeNotebooks } from './fakeNotebooks';

const ALL = { path: 'p', pandas: 'pd', polars: 'pl', duckdb: 'dd', r: 'r <- 1', sql: 'select' };

describe('code for a notebook', () => {
  it.each([
    ['python', 'polars', 'polars'],
    ['python', 'r', 'pandas'],
    ['R', 'polars', 'r'],
    ['sqlite', 'pandas', 'sql'],
    ['ipython', 'duckdb', 'duckdb'],
    [null, 'r', 'r'],
    [null, 'cobol', 'pandas']
  ])('of %s, where %s was chosen, is written with %s', (language, chosen, library) =>
    expect(snippetFor(ALL, language, chosen)?.library).toBe(library)
  );

  it('is none where no library speaks its language, or nothing is offered', () => {
    expect(snippetFor(ALL, 'julia', 'pandas')).toBeNull();
    expect(snippetFor({}, 'python', 'pandas')).toBeNull();
    expect(snippetFor({ path: 'p' }, 'python', 'pandas')).toEqual({ library: 'path', code: 'p' });
  });

  it('is of a language by its own name where we know no library of it', () =>
    expect(librariesFor({ ...ALL, julia: 'jl' }, 'Julia')).toEqual(['julia']));
});

describe('what is inserted', () => {
  const trans = nullTranslator.load('');
  let api: FakeApi;
  let model: DatasetModel;
  let notebooks: FakeNotebooks;

  beforeEach(() => {
    api = new FakeApi();
    api.dataset = name => Promise.resolve(aDetail({ name, snippets: ALL }));
    model = new DatasetModel(api);
    notebooks = new FakeNotebooks();
  });

  afterEach(() => model.dispose());

  const insert = (): Promise<string> => insertDataset('nyc/flights', model, notebooks, trans);

  it('is in the language of the notebook', async () => {
    notebooks.language = 'R';
    expect(await insert()).toBe('');
    expect(notebooks.done).toEqual(['insert r <- 1']);
  });

  it('is nothing in a language that no code is for, and that is said', async () => {
    notebooks.language = 'julia';
    expect(await insert()).toBe('This notebook speaks Julia. There is code for Python, R, SQL.');
    expect(notebooks.done).toEqual([]);
  });

  it('is chosen among the libraries that fit, and all are shown where none does', async () => {
    const shown = (): string[] => screen.getAllByRole('option').map(option => option.textContent ?? '');
    const detail = await model.open('nyc/flights');
    const view = (): React.JSX.Element => (
      <DatasetDetails detail={detail ?? aDetail()} model={model} notebooks={notebooks} />
    );
    const { rerender } = render(view());
    model.stateChanged.connect(() => act(() => rerender(view())));
    expect(shown()).toEqual(['path', 'pandas', 'polars', 'duckdb']);
    fireEvent.change(screen.getByRole('combobox', { name: 'Library' }), { target: { value: 'duckdb' } });
    expect(screen.getByRole('region', { name: 'Code' }).textContent).toBe('dd');
    notebooks.language = 'julia';
    act(() => rerender(view()));
    expect(shown().length).toBe(6);
    expect(screen.getByText(/speaks Julia/)).toBeTruthy();
    expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Insert this code' }).disabled).toBe(true);
  });
});
