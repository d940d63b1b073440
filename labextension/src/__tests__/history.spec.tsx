import { act, render, screen } from '@testing-library/react';
import { axe } from 'jest-axe';
import React from 'react';

import { ApiError } from '../api/errors';
import { pathOf } from '../components/Sparkline';
import { KernelHistory } from '../features/quotas/KernelHistory';
import { HISTORY_MS, QuotaModel } from '../state/quotaModel';
import { aKernel, FakeApi, GIB } from './fakeApi';

const asked = (api: FakeApi): number => api.calls.filter(call => call === 'history k1').length;

describe('the line', () => {
  it('goes from edge to edge, higher where the value is', () => {
    const points = [0, 1, 0.5].map((value, index) => ({ at: 10 * index, span: 10, value }));
    expect(pathOf(points, 1)).toBe('M0 31L120 1L240 16');
  });

  it('breaks where nothing is known, and never leaves its frame', () => {
    const points = [
      { at: 0, span: 10, value: -1 },
      { at: 10, span: 10, value: 9 },
      { at: 100, span: 10, value: 0 }
    ];
    expect(pathOf(points, 1)).toBe('M0 31L24 1M240 31');
    expect(pathOf([], 1)).toBe('');
  });
});

describe('the history of a kernel', () => {
  let api: FakeApi;
  let model: QuotaModel;
  let now: number;
  let container: HTMLElement;

  beforeEach(async () => {
    api = new FakeApi();
    api.samples = [30, 60, 90].map((cpu_percent, index) => ({
      at: 1000 + 10 * index,
      every_s: 10,
      cpu_percent,
      memory_bytes: (index + 1) * 0.25 * GIB
    }));
    now = 0;
    model = new QuotaModel(api, () => now);
    model.visible = true;
    await model.refresh();
    const view = (): React.JSX.Element => <KernelHistory kernel={aKernel()} model={model} />;
    const shown = render(view());
    container = shown.container;
    model.stateChanged.connect(() => act(() => shown.rerender(view())));
  });

  afterEach(() => {
    jest.useRealTimers();
    model.dispose();
  });

  /** As the browser does when its summary is clicked. */
  const toggle = async (open: boolean): Promise<void> => {
    const details = container.querySelector('details') as HTMLDetailsElement;
    await act(async () => {
      details.open = open;
      details.dispatchEvent(new Event('toggle'));
      await Promise.resolve();
    });
  };

  it('is neither read nor drawn while it is closed', async () => {
    expect([asked(api), container.querySelector('svg')]).toEqual([0, null]);
    await toggle(true);
    expect(container.querySelectorAll('svg')).toHaveLength(2);
    await toggle(false);
    expect([asked(api), container.querySelector('svg')]).toEqual([1, null]);
  });

  it('is drawn with its figures in words', async () => {
    await toggle(true);
    expect(screen.getByRole('img', { name: 'Processor in the last 30 s: 0.3 to 0.9 cores' })).toBeTruthy();
    expect(screen.getByRole('img', { name: 'Memory in the last 30 s: 256 MiB to 768 MiB' })).toBeTruthy();
    expect((await axe(container)).violations).toEqual([]);
  });

  it('is read at most every half minute, however often it is opened', async () => {
    await toggle(true);
    await toggle(false);
    now += HISTORY_MS / 2;
    await toggle(true);
    expect(asked(api)).toBe(1);
    now += HISTORY_MS / 2;
    await act(() => model.readHistory('k1'));
    expect(asked(api)).toBe(2);
  });

  it('is read again while it stays open, and not while nobody can see it', async () => {
    jest.useFakeTimers({ doNotFake: ['queueMicrotask', 'nextTick', 'setImmediate'] });
    await toggle(true);
    now += HISTORY_MS;
    act(() => {
      jest.advanceTimersByTime(HISTORY_MS);
    });
    expect(asked(api)).toBe(2);
    model.visible = false;
    now += HISTORY_MS;
    act(() => {
      jest.advanceTimersByTime(HISTORY_MS);
    });
    expect(asked(api)).toBe(2);
  });

  it('says that it could not be read, keeps what it knew, and that there is nothing yet', async () => {
    api.failure = new ApiError('gone', { offline: true });
    await toggle(true);
    expect(container.textContent).toContain('could not be read');
    api.failure = null;
    now += HISTORY_MS;
    await act(() => model.readHistory('k1'));
    expect(container.querySelectorAll('svg')).toHaveLength(2);
    api.samples = api.samples.slice(0, 1);
    now += HISTORY_MS;
    await act(() => model.readHistory('k1'));
    expect(container.textContent).toContain('nothing to draw yet');
  });
});
