import { act, fireEvent, render, screen, waitFor } from '@testing-library/react';
import { axe } from 'jest-axe';
import React from 'react';

import type { Kernel, RefusedRead } from '../api/generated/openapi';
import { RefusedCard } from '../features/datasets/RefusedCard';
import { DatasetModel } from '../state/datasetModel';
import { QuotaModel } from '../state/quotaModel';
import { aKernel, FakeApi, NOW } from './fakeApi';

function aRead(values: Partial<RefusedRead> = {}): RefusedRead {
  return {
    dataset: 'hr/salaries',
    at: NOW,
    status: 'requestable',
    reason: 'hr/salaries must be asked for',
    rule: 'guardrails.yaml:9 hr',
    next_step: "guarded.request('hr/salaries', purpose='…')",
    asked: false,
    ...values
  };
}

describe('a dataset that was refused', () => {
  let api: FakeApi;
  let quotas: QuotaModel;
  let datasets: DatasetModel;
  let container: HTMLElement;

  const told = async (kernel: Partial<Kernel>): Promise<void> => {
    api.kernelsAnswer = { ...api.kernelsAnswer, kernels: [aKernel(kernel)] };
    await act(() => quotas.refresh());
  };

  beforeEach(() => {
    api = new FakeApi();
    quotas = new QuotaModel(api);
    quotas.setCurrentKernel('k1', false);
    datasets = new DatasetModel(api);
    const view = (): React.JSX.Element => (
      <>
        {quotas.refusedReads('k1').map(read => (
          <RefusedCard key={read.dataset} kernelId="k1" read={read} quotas={quotas} datasets={datasets} />
        ))}
      </>
    );
    const shown = render(view());
    container = shown.container;
    quotas.stateChanged.connect(() => act(() => shown.rerender(view())));
  });

  afterEach(() => {
    quotas.dispose();
    datasets.dispose();
  });

  it('says why, by which rule, and asks for it where it happened', async () => {
    await told({ refused_reads: [aRead()] });
    expect(screen.getByRole('status').textContent).toContain('hr/salaries must be asked for');
    expect(screen.getByRole('status').textContent).toContain('guardrails.yaml:9 hr');
    expect(screen.getByRole('status').textContent).not.toContain('guarded.request');
    expect((await axe(container)).violations).toEqual([]);
    fireEvent.click(screen.getByRole('button', { name: 'Request access' }));
    fireEvent.change(screen.getByRole('textbox'), { target: { value: 'churn study' } });
    await told({ refused_reads: [aRead({ asked: true })] });
    fireEvent.submit(screen.getByRole('form', { name: 'Request access to hr/salaries' }));
    await waitFor(() => expect(datasets.requests.map(({ dataset }) => dataset)).toEqual(['hr/salaries']));
    expect(await screen.findByText(/nobody has answered yet/)).toBeTruthy();
    expect(screen.queryByRole('button', { name: 'Request access' })).toBeNull();
  });

  it('is in sight while no view of the limits is', async () => {
    await told({ refused_reads: [] });
    expect(quotas.inSight).toBe(false);
    await told({ refused_reads: [aRead()] });
    expect([quotas.visible, quotas.inSight]).toEqual([false, true]);
    fireEvent.click(screen.getByRole('button', { name: 'Hide' }));
    expect(quotas.inSight).toBe(false);
  });

  it('offers no request where none helps, and says what does', async () => {
    await told({ refused_reads: [aRead({ status: 'refused', next_step: 'talk to carol' })] });
    expect(screen.queryByRole('button', { name: 'Request access' })).toBeNull();
    expect(screen.getByText(/talk to carol/)).toBeTruthy();
  });

  it('is hidden until it is open, and then says so', async () => {
    await told({ refused_reads: [aRead()] });
    fireEvent.click(screen.getByRole('button', { name: 'Hide' }));
    await told({ refused_reads: [aRead({ at: '2026-01-02T00:00:00Z' })] });
    expect(screen.queryByText('hr/salaries was refused')).toBeNull();
    await told({ refused_reads: [aRead({ status: 'granted', reason: 'granted by carol', next_step: '' })] });
    expect(screen.getByRole('status').textContent).toContain('hr/salaries is open to you now');
    expect(screen.getByText('Run the cell again.')).toBeTruthy();
  });

  it('is nothing where the server knows of no such thing', async () => {
    const { refused_reads, ...before } = aKernel();
    expect(refused_reads).toEqual([]);
    api.kernelsAnswer = { ...api.kernelsAnswer, kernels: [before as Kernel] };
    await act(() => quotas.refresh());
    expect(quotas.refusedReads('k1')).toEqual([]);
  });
});
