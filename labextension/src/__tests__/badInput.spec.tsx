import { act, fireEvent, render, screen, within } from '@testing-library/react';
import { axe } from 'jest-axe';
import React from 'react';

import type { AccessRequest, Dataset, DatasetDetail } from '../api/generated/openapi';
import { DatasetsView } from '../features/datasets/DatasetsView';
import { DatasetModel } from '../state/datasetModel';
import { aDataset, aDetail, FakeApi, NOW } from './fakeApi';
import { FakeNotebooks } from './fakeNotebooks';

const HTML = '<img src=x onerror="window.hurt = 1"><b>bold</b>';
const HEBREW = 'מכירות לפי סניף';
const LONG = 10 * 2 ** 20;

describe('a catalogue that nobody tidied up', () => {
  let api: FakeApi;
  let model: DatasetModel;
  let container: HTMLElement;

  async function show(values: Partial<Dataset>, detail: Partial<DatasetDetail> = {}): Promise<HTMLElement> {
    api.catalogue = [aDataset({ name: 'x/one', ...values })];
    api.dataset = () => Promise.resolve(aDetail({ ...values, name: 'x/one', ...detail }));
    const view = (): React.JSX.Element => (
      <DatasetsView model={model} notebooks={new FakeNotebooks()} onNewNotebook={() => undefined} />
    );
    const drawn = render(view());
    container = drawn.container;
    model.stateChanged.connect(() => act(() => drawn.rerender(view())));
    await model.refresh();
    return within(screen.getByRole('list', { name: 'Datasets' })).getByRole('listitem');
  }

  async function open(item: HTMLElement): Promise<void> {
    await act(async () => {
      fireEvent.click(item.querySelector('button') as HTMLElement);
      await Promise.resolve();
    });
  }

  beforeEach(() => {
    api = new FakeApi();
    model = new DatasetModel(api);
    model.visible = true;
  });

  afterEach(() => model.dispose());

  it('has texts that are HTML: they are shown letter by letter', async () => {
    const column = { name: HTML, type: HTML, classification: HTML, mask: HTML, description: HTML };
    const texts = { description: HTML, owner: HTML, classification: HTML };
    const item = await show(texts, { schema: [column], preview: { columns: [HTML], rows: [[HTML]] } });
    await open(item);
    expect(item.querySelectorAll('img, b').length).toBe(0);
    expect(item.textContent?.split(HTML).length).toBeGreaterThan(8);
    expect((await axe(container)).violations.map(({ id }) => id)).toEqual([]);
  });

  it('has text that runs from right to left: it turns nothing else around', async () => {
    const item = await show({ name: `x/${HEBREW}`, description: HEBREW, owner: HEBREW });
    const isolated = [...item.querySelectorAll('bdi')].map(({ textContent }) => textContent);
    expect(isolated).toEqual([`x/${HEBREW}`, HEBREW, HEBREW, 'internal', '2 columns']);
  });

  it('has a description of 10 MiB: it is cut, more of it is shown when asked, and all can be copied', async () => {
    const item = await show({ description: 'long '.repeat(LONG / 5) });
    expect(item.textContent?.length).toBeLessThan(1000);
    fireEvent.click(within(item).getByRole('button', { name: 'Show all' }));
    expect(item.textContent?.length).toBeGreaterThan(20_000);
    expect(item.textContent?.length).toBeLessThan(30_000);
    expect(within(item).getByRole('button', { name: 'Copy the whole text' })).toBeTruthy();
    fireEvent.click(within(item).getByRole('button', { name: 'Show less' }));
    expect(item.textContent?.length).toBeLessThan(1000);
  });

  it.each([
    ['x'.repeat(280), false],
    [`x${'😀'.repeat(150)}`, true]
  ])('has a description that fits, or is cut between two characters', async (description, cut) => {
    const item = await show({ description });
    expect(within(item).queryByRole('button', { name: 'Show all' }) !== null).toBe(cut);
    expect(item.textContent).not.toMatch(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])/);
  });

  it('has a contract without columns: that is said', async () => {
    const item = await show({ columns: 0 }, { schema: [], preview: null, snippets: {} });
    await open(item);
    expect(item.textContent).toContain('0 columns');
    expect(item.textContent).toContain('Its contract names no columns.');
  });

  it('has 500 columns: some are shown, then all', async () => {
    const schema = Array.from({ length: 500 }, (_, index) => ({
      name: index === 0 ? 'c1' : `c${index}`, // two of one name
      type: 'string',
      classification: '',
      mask: '',
      description: ''
    }));
    const columns = schema.map(({ name }) => name);
    const item = await show({ columns: 500 }, { schema, preview: { columns, rows: [columns] } });
    await open(item);
    const table = (name: string): HTMLElement => within(item).getByRole('region', { name });
    const counts = (): number[] => [
      table('Columns of x/one').querySelectorAll('tbody tr').length,
      table('First rows of x/one').querySelectorAll('th').length
    ];
    expect(counts()).toEqual([50, 30]);
    const [more, wider] = within(item).getAllByRole('button', { name: 'Show all 500' });
    fireEvent.click(more as HTMLElement);
    expect(counts()).toEqual([500, 30]);
    fireEvent.click(wider as HTMLElement);
    expect(counts()).toEqual([500, 500]);
    expect(within(item).queryByRole('button', { name: 'Show all 500' })).toBeNull();
  });

  it.each([
    ['granted', 'dana', 'fine', 'Granted by dana: fine'],
    ['refused', 'dana', HTML, `Refused by dana: ${HTML}`],
    ['refused', '', '', 'Refused'],
    ['expired', 'dana', '', 'Its time is over: ask again if you still need it'],
    ['revoked', 'dana', 'leak', 'Taken back by dana: leak'],
    ['revoked', 'ana', 'done', 'Given back by you: done']
  ] as const)('says what became of a request: %s by %s (%s)', async (state, decided_by, reason, words) => {
    const asked: AccessRequest = {
      ...{ id: 'r1', kind: 'access', dataset: 'hr/x', person: 'ana', purpose: `${HEBREW} ${HTML}`, days: 3 },
      ...{ created_at: NOW, state, decided_by, reason }
    };
    api.requestsAnswer = [asked];
    await show({});
    const mine = screen.getByRole('region', { name: 'My requests' });
    expect(mine.textContent).toContain(words);
    expect(mine.querySelectorAll('img, b').length).toBe(0);
  });
});
