import { act, fireEvent, render, screen, waitFor, within } from '@testing-library/react';
import { axe } from 'jest-axe';
import React from 'react';

import { ApiError } from '../api/errors';
import type { AccessRequest, Ended, Notice } from '../api/generated/openapi';
import { LimitStatus } from '../features/quotas/LimitStatus';
import { QuotasView } from '../features/quotas/QuotasView';
import { QuotaModel } from '../state/quotaModel';
import { aKernel, aNotice, FakeApi, NOW } from './fakeApi';
import { FakeNotebooks } from './fakeNotebooks';

const ENDED: Ended = {
  id: 'k9',
  kernelspec: 'python3',
  kind: 'kernel',
  notebook: 'gone.ipynb',
  cause: 'budget',
  ended_at: NOW,
  reason: 'this kernel was ended: your budget is used up',
  rule: 'guardrails.yaml:5 r'
};

describe('notices of limits', () => {
  let api: FakeApi;
  let model: QuotaModel;
  let notebooks: FakeNotebooks;
  let now: number;
  let container: HTMLElement;

  const told = async (...notices: Notice[]): Promise<void> => {
    api.kernelsAnswer = { ...api.kernelsAnswer, kernels: [aKernel({ notices })] };
    await act(() => model.refresh());
  };

  beforeEach(() => {
    now = 1000;
    api = new FakeApi();
    model = new QuotaModel(api, () => now);
    notebooks = new FakeNotebooks();
    model.setCurrentKernel('k1', false);
    const view = (): React.JSX.Element => (
      <>
        <QuotasView model={model} notebooks={notebooks} />
        <LimitStatus model={model} onOpen={() => notebooks.done.push('open')} />
      </>
    );
    const shown = render(view());
    container = shown.container;
    model.stateChanged.connect(() => act(() => shown.rerender(view())));
  });

  afterEach(() => {
    jest.useRealTimers();
    model.dispose();
  });

  const card = (): HTMLElement => screen.getByText(/^Budget used up$/).closest('.jp-Guardrails-notice') as HTMLElement;

  it('say why, by which rule, how long there is, and have no violations', async () => {
    await told(aNotice());
    expect(card().getAttribute('role')).toBe('alert');
    expect(card().textContent).toContain('your budget is used up: 40 of 40 cpu-hours');
    expect(card().textContent).toContain('guardrails.yaml:5 r');
    expect(card().textContent).toContain('Interrupted in 10:00');
    const { violations } = await axe(container);
    expect(violations.map(({ id, nodes }) => `${id} ${nodes.map(({ html }) => html).join()}`)).toEqual([]);
  });

  it('count down each second for the eye, in a few steps for the ear', async () => {
    jest.useFakeTimers({ doNotFake: ['queueMicrotask', 'nextTick', 'setImmediate'] });
    await told(aNotice({ seconds_left: 62 }));
    const timer = screen.getByRole('timer');
    const spoken = (): string | null | undefined =>
      timer.parentElement?.querySelector('[aria-live=polite]')?.textContent;
    expect([timer.textContent, timer.getAttribute('aria-live')]).toEqual(['1:02', 'off']);
    const before = spoken();
    now += 1000;
    act(() => {
      jest.advanceTimersByTime(1000);
    });
    expect([timer.textContent, spoken()]).toEqual(['1:01', before]);
    now += 2000;
    act(() => {
      jest.advanceTimersByTime(2000);
    });
    expect(timer.textContent).toBe('0:59');
    expect(spoken()).not.toBe(before);
  });

  it('keep an idle kernel', async () => {
    await told(aNotice({ kind: 'idle', can: ['keep', 'stop', 'more'] }));
    await act(async () => {
      fireEvent.click(screen.getByRole('button', { name: 'Keep' }));
      await Promise.resolve();
    });
    expect(api.calls).toContain('keep k1');
    await waitFor(() => expect(container.textContent).not.toContain('Not used for too long'));
  });

  it('save every notebook of the kernel, then stop it', async () => {
    await told(aNotice());
    await act(async () => {
      fireEvent.click(screen.getByRole('button', { name: 'Save and stop' }));
      await Promise.resolve();
    });
    expect(notebooks.done).toEqual(['save all of k1']);
    expect(api.calls).toContain('stop k1');
  });

  it('stop nothing that could not be saved, and say so', async () => {
    notebooks.writable = false;
    await told(aNotice());
    fireEvent.click(screen.getByRole('button', { name: 'Save and stop' }));
    expect((await screen.findByText('This notebook is read-only.')).textContent).toBeTruthy();
    expect(api.calls).not.toContain('stop k1');
  });

  it('ask for more of the limit that is used up', async () => {
    await told(aNotice());
    fireEvent.click(screen.getByRole('button', { name: 'More for a while…' }));
    const form = screen.getByRole('form', { name: 'More for a while' });
    const what = within(form).getByRole<HTMLSelectElement>('combobox', { name: 'More of what?' });
    expect([what.value, document.activeElement]).toEqual(['budget.cpu_hours', what]);
    fireEvent.change(within(form).getByLabelText(/How much in all/), { target: { value: '60' } });
    fireEvent.change(within(form).getByLabelText('What do you need it for?'), { target: { value: 'a deadline' } });
    await act(async () => {
      fireEvent.click(within(form).getByRole('button', { name: 'Send request' }));
      await Promise.resolve();
    });
    expect(api.calls).toContain('more budget.cpu_hours 60 a deadline');
    expect(screen.getByRole('region', { name: 'More for a while' }).textContent).toContain('waiting');
  });

  it('say who took back what was granted, and why', async () => {
    const granted: AccessRequest = {
      id: 'r1',
      kind: 'more',
      dataset: '',
      resource: 'kernels.max',
      amount: 6,
      until: NOW,
      person: 'ana',
      purpose: 'a workshop',
      days: 1,
      state: 'granted',
      decided_by: 'carol',
      reason: 'for the workshop',
      created_at: NOW
    };
    api.requestsAnswer = [
      { ...granted, id: 'r2', state: 'revoked', reason: 'the machine is full' },
      { ...granted, id: 'r3', state: 'revoked', decided_by: 'ana', reason: 'done early' },
      granted
    ];
    await told();
    const items = within(screen.getByRole('region', { name: 'More for a while' })).getAllByRole('listitem');
    const said = items.map(item => [
      item.querySelector('.jp-Guardrails-badge')?.textContent,
      item.lastChild?.textContent
    ]);
    expect(said).toEqual([
      ['taken back', 'Taken back by carol: the machine is full'],
      ['taken back', 'Given back by you: done early'],
      ['granted', 'Granted by carol: for the workshop']
    ]);
  });

  it('ask for times in hours, for a profile without an amount, and for nothing that is not more', async () => {
    await told();
    fireEvent.click(screen.getByRole('button', { name: 'Ask for more…' }));
    const form = screen.getByRole('form', { name: 'More for a while' });
    const what = within(form).getByRole('combobox', { name: 'More of what?' });
    const send = within(form).getByRole<HTMLButtonElement>('button', { name: 'Send request' });
    fireEvent.change(within(form).getByLabelText('What do you need it for?'), { target: { value: 'long run' } });
    fireEvent.change(what, { target: { value: 'profile.large' } });
    expect([within(form).queryByLabelText(/How much/), send.disabled]).toEqual([null, false]);
    fireEvent.change(what, { target: { value: 'idle' } });
    fireEvent.change(within(form).getByLabelText(/How much in all/), { target: { value: '2' } });
    expect(send.disabled).toBe(true);
    fireEvent.change(within(form).getByLabelText(/How much in all/), { target: { value: '5' } });
    api.failure = new ApiError('refused', { nextStep: 'ask carol' });
    fireEvent.click(send);
    expect((await within(form).findByRole('alert')).textContent).toContain('ask carol');
    expect(api.calls).toContain('more idle 18000 long run');
  });

  it('show in the status bar what ends first, in words and with its time', async () => {
    await told(aNotice({ phase: 'warned', ends_at: null, seconds_left: 3600, share: 0.85 }));
    const item = (): HTMLElement => container.querySelector('.jp-Guardrails-status') as HTMLElement;
    expect([item().textContent, item().dataset.level]).toEqual(['Budget used up to 85%', 'high']);
    await told(aNotice({ phase: 'warned', ends_at: null, share: 0.96 }));
    expect(item().dataset.level).toBe('full');
    await told(aNotice());
    expect([item().textContent, item().dataset.level]).toEqual(['Budget used up, 10:00 left', 'full']);
    fireEvent.click(item());
    expect(notebooks.done).toEqual(['open']);
  });

  it('are calm where nothing is ended, can be hidden, and show again with the next step', async () => {
    await told(aNotice({ phase: 'warned', ends_at: null, share: 0.85, since: 't1' }));
    expect(screen.getByText('Budget used up to 85%', { selector: 'strong' })).toBeTruthy();
    fireEvent.click(screen.getByRole('button', { name: 'Hide' }));
    expect(screen.queryByText('Budget used up to 85%', { selector: 'strong' })).toBeNull();
    await told(aNotice({ since: 't2' }));
    expect(card()).toBeTruthy();
    await told(aNotice({ since: 't2', would: true, ends_at: null, seconds_left: null }));
    expect(container.textContent).toContain('only said, nothing is ended');
    expect(container.querySelector('.jp-Guardrails-status')).toBeNull();
  });

  it('say what was ended until something runs in its place', async () => {
    api.kernelsAnswer = { ...api.kernelsAnswer, ended: [ENDED] };
    await told();
    expect(container.textContent).toContain('gone.ipynb was ended');
    api.kernelsAnswer = { ...api.kernelsAnswer, kernels: [aKernel({ notebook: 'gone.ipynb' })] };
    await act(() => model.refresh());
    expect(container.textContent).not.toContain('gone.ipynb was ended');
  });

  it('are one card for a budget, whatever runs', async () => {
    const kernels = [aKernel({ notices: [aNotice()] }), aKernel({ id: 'k2', notices: [aNotice()] })];
    api.kernelsAnswer = { ...api.kernelsAnswer, kernels };
    await act(() => model.refresh());
    expect(screen.getAllByText('Budget used up', { selector: 'strong' })).toHaveLength(1);
  });
});
