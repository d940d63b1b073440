import { ApiError } from '../api/errors';
import { DatasetModel } from '../state/datasetModel';
import { FakeApi } from './fakeApi';

describe('DatasetModel', () => {
  let api: FakeApi;
  let model: DatasetModel;

  beforeEach(async () => {
    api = new FakeApi();
    model = new DatasetModel(api);
    model.visible = true;
    await model.refresh();
  });

  afterEach(() => {
    jest.useRealTimers();
    model.dispose();
  });

  const names = (): string[] => model.datasets.map(({ name }) => name);

  it('lists what may be seen', () => {
    expect(names()).toEqual(['nyc/flights', 'hr/salaries']);
    expect(model.total).toBe(2);
  });

  it('searches once while someone types', async () => {
    api.calls = [];
    const found = new Promise<void>(resolve => model.stateChanged.connect(() => !model.searching && resolve()));
    for (const text of ['h', 'hr', 'hr/']) {
      model.search(text);
    }
    expect(model.searching).toBe(true);
    await found;
    expect(api.calls.filter(call => call.startsWith('datasets'))).toEqual(['datasets hr/ all']);
    expect(names()).toEqual(['hr/salaries']);
  });

  it('looks again once after a run of cells, while it can be seen', async () => {
    api.calls = [];
    const again = new Promise<void>(resolve => model.stateChanged.connect(() => resolve()));
    for (let cell = 0; cell < 5; cell++) {
      model.afterCell();
    }
    await again;
    expect(api.calls.filter(call => call === 'publications')).toEqual(['publications']);
    model.visible = false;
    api.calls = [];
    jest.useFakeTimers();
    model.afterCell();
    await jest.advanceTimersByTimeAsync(5000);
    expect(api.calls).toEqual([]);
  });

  it('drops an answer to an earlier search and asks for the present one', async () => {
    const quick = api.datasets;
    api.calls = [];
    api.datasets = (query, scope) => {
      api.datasets = quick;
      model.search('hr'); // somebody types while the first answer is on its way
      return quick(query, scope);
    };
    await model.refresh();
    expect(api.calls.filter(call => call.startsWith('datasets'))).toEqual(['datasets  all', 'datasets hr all']);
    expect(names()).toEqual(['hr/salaries']);
    expect(model.searching).toBe(false);
  });

  it('filters by what can be used now', async () => {
    model.filter('requestable');
    await model.refresh();
    expect(names()).toEqual(['hr/salaries']);
  });

  it('reads details, and says why it could not', async () => {
    expect((await model.open('nyc/flights'))?.version).toBe('1.0.0');
    api.failure = new ApiError('gone');
    await model.open('nyc/flights');
    expect(model.detail('nyc/flights')?.error?.message).toBe('gone');
    expect(model.detail('nyc/flights')?.value?.version).toBe('1.0.0');
  });

  it('asks for access and remembers it', async () => {
    await model.request('hr/salaries', 'churn study', 14);
    expect(api.calls).toContain('request hr/salaries churn study 14');
    expect(model.requestFor('hr/salaries')?.state).toBe('open');
    expect(model.requestFor('nyc/flights')).toBeUndefined();
  });

  it('passes on why a request was refused', async () => {
    api.failure = new ApiError('no', { nextStep: 'ask carol' });
    await expect(model.request('hr/salaries', 'churn study', 14)).rejects.toMatchObject({ nextStep: 'ask carol' });
    expect(model.requestFor('hr/salaries')).toBeUndefined();
  });

  it('says which library was chosen, for that to be remembered', () => {
    const chosen: string[] = [];
    model.libraryChosen.connect((_, library) => chosen.push(library));
    model.library = 'polars'; // as it was remembered
    model.chooseLibrary('duckdb');
    expect([model.library, chosen]).toEqual(['duckdb', ['duckdb']]);
  });
});
