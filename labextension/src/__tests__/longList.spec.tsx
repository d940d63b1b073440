import { act, fireEvent, render, screen, within } from '@testing-library/react';
import { axe } from 'jest-axe';
import React from 'react';

import { ApiError } from '../api/errors';
import { DatasetsView } from '../features/datasets/DatasetsView';
import { DatasetModel } from '../state/datasetModel';
import { aDataset, FakeApi } from './fakeApi';
import { FakeNotebooks } from './fakeNotebooks';

const COUNT = 5000;
const HEIGHT = 800;

function nameOf(index: number): string {
  return `big/d${String(index).padStart(4, '0')}`;
}

describe('a catalogue of 5,000', () => {
  let api: FakeApi;
  let model: DatasetModel;
  let part: HTMLElement;

  beforeEach(async () => {
    api = new FakeApi();
    api.catalogue = Array.from({ length: COUNT }, (_, index) =>
      aDataset({ name: nameOf(index), status: index < 4000 ? 'granted' : 'requestable' })
    );
    model = new DatasetModel(api);
    model.visible = true;
    const view = (): React.JSX.Element => (
      <div role="tabpanel" tabIndex={0} style={{ overflowY: 'auto' }}>
        <DatasetsView model={model} notebooks={new FakeNotebooks()} onNewNotebook={() => undefined} />
      </div>
    );
    const { rerender } = render(view());
    model.stateChanged.connect(() => act(() => rerender(view())));
    part = screen.getByRole('tabpanel');
    await model.refresh();
    layOut();
  });

  afterEach(() => model.dispose());

  /** A browser would do that: the list stands where the part is scrolled to, and each row is 100 pixels high. */
  function layOut(): void {
    const list = screen.getByRole('list', { name: 'Datasets' });
    Object.defineProperty(part, 'clientHeight', { value: HEIGHT, configurable: true });
    list.getBoundingClientRect = () => ({ top: -part.scrollTop, height: 0 }) as DOMRect;
  }

  async function scrollTo(index: number): Promise<void> {
    part.scrollTop = 118 * index;
    await act(async () => {
      fireEvent.scroll(part);
      await Promise.resolve();
    });
  }

  const rows = (): HTMLElement[] => [...part.querySelectorAll<HTMLElement>('ul > li[aria-posinset]')];
  const pages = (): string[] => api.calls.filter(call => call.startsWith('datasets'));
  const row = (index: number): HTMLElement => screen.getByRole('button', { name: nameOf(index) });

  it('has only what is in sight in the page, and says where each stands', async () => {
    expect(screen.getByText('5000 datasets')).toBeTruthy();
    expect(rows().length).toBeLessThan(40);
    const item = row(3).closest('li');
    expect(item?.getAttribute('aria-posinset')).toBe('4');
    expect(item?.getAttribute('aria-setsize')).toBe('5000');
    const { violations } = await axe(part);
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join()}`)).toEqual([]);
  });

  it('is read page by page, where it is looked at', async () => {
    expect(pages()).toEqual(['datasets  all']);
    await scrollTo(4998);
    expect(pages()).toEqual(['datasets  all', 'datasets  all from 4800']);
    expect(row(4999)).toBeTruthy();
    expect(screen.queryByRole('button', { name: nameOf(0) })).toBeNull();
    expect(rows().length).toBeLessThan(40);
    await scrollTo(0);
    expect(row(0)).toBeTruthy();
    expect(pages().length).toBe(2);
  });

  it('leads anywhere, and reads each page once', async () => {
    for (let index = 0; index < COUNT; index += 600) {
      await scrollTo(index);
      expect(row(index).closest('li')?.dataset.index).toBe(String(index));
      expect(row(index + 7)).toBeTruthy();
    }
    expect(new Set(pages()).size).toBe(pages().length);
    expect(pages()).toContain('datasets  all from 4800');
  });

  it('reads again what is looked at, and nothing else', async () => {
    await scrollTo(2500);
    api.calls = [];
    await act(() => model.refresh());
    expect(pages()).toEqual(['datasets  all from 2400']);
    await scrollTo(0);
    expect(pages()).toEqual(['datasets  all from 2400', 'datasets  all']);
  });

  it('keeps the focus, and a form with what was typed, wherever it is scrolled to', async () => {
    act(() => row(3).focus());
    await scrollTo(4100);
    expect(document.activeElement?.textContent).toBe(nameOf(3));
    const item = row(4100).closest('li') as HTMLElement;
    fireEvent.click(within(item).getByRole('button', { name: 'Request access' }));
    fireEvent.change(screen.getByLabelText('What do you need it for?'), { target: { value: 'churn' } });
    await scrollTo(10);
    await scrollTo(4100);
    expect(screen.getByLabelText<HTMLTextAreaElement>('What do you need it for?').value).toBe('churn');
  });

  it('begins again at its top with another search', async () => {
    await scrollTo(3000);
    await act(async () => {
      model.filter('requestable');
      await model.refresh();
    });
    expect(part.scrollTop).toBe(0);
    expect(row(4000).closest('li')?.getAttribute('aria-posinset')).toBe('1');
    expect(screen.getByText('1000 datasets')).toBeTruthy();
  });

  it('says that a page could not be read, and reads it again', async () => {
    api.failure = new ApiError('control does not answer');
    await scrollTo(3000);
    expect((await screen.findByRole('alert')).textContent).toContain('control does not answer');
    expect(screen.getAllByText('Reading…').length).toBeGreaterThan(0);
    api.failure = null;
    await act(async () => {
      fireEvent.click(screen.getByRole('button', { name: 'Try again' }));
      await model.refresh();
    });
    expect(row(3000)).toBeTruthy();
  });

  it('follows a list that became shorter', async () => {
    await scrollTo(4990);
    api.catalogue = api.catalogue.slice(0, 4300);
    await act(() => model.refresh());
    await scrollTo(4299);
    expect(row(4299)).toBeTruthy();
    expect(screen.getByText('4300 datasets')).toBeTruthy();
  });

  it('leads the key that finds to our search', () => {
    const search = screen.getByRole('searchbox');
    fireEvent.keyDown(row(1), { key: 'f' });
    expect(document.activeElement).not.toBe(search);
    expect(fireEvent.keyDown(row(1), { key: 'f', ctrlKey: true })).toBe(false);
    expect(document.activeElement).toBe(search);
  });
});
