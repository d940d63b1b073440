import { act, fireEvent, render, screen, waitFor, within } from '@testing-library/react';
import { axe } from 'jest-axe';
import React from 'react';

import type { IAdminApi } from '../api/admin';
import { ApiError } from '../api/errors';
import type { AuditRecord, Me, Reviews, Usage } from '../api/generated/openapi';
import { AdminView } from '../features/admin/AdminView';
import { AdminModel } from '../state/adminModel';
import { aMe, FakeApi, NOW } from './fakeApi';

function row(person: string, cpu: number, values: Partial<Usage['rows'][number]> = {}): Usage['rows'][number] {
  return { person, key: '', kernels: 1, cpu_hours: cpu, memory_gib_hours: 2 * cpu, gpu_hours: 0, ...values };
}

const CHANGE: AuditRecord = {
  seq: 7,
  time: NOW,
  principal: 'control',
  action: 'policy.reload',
  resource: 'guardrails.yaml',
  allowed: false,
  reason: 'guardrails.yaml:3:1: unknown key',
  rule: '',
  policy_digest: 'd',
  hash: 'h'
};

class FakeAdminApi implements IAdminApi {
  calls: string[] = [];
  failure: Error | null = null;
  noReviews = false;
  meAnswer: Me = aMe({ roles: ['scientist', 'admin'] });
  rows = [row('ben', 3), row('ana', 12.5), row('cid', 3)];
  private readonly own = new FakeApi();

  me = (): Promise<Me> => (this.failure ? Promise.reject(this.failure) : Promise.resolve(this.meAnswer));
  budget = this.own.budget;
  usage: IAdminApi['usage'] = (since, by) => {
    this.calls.push(`usage ${since} ${by}`);
    return Promise.resolve({ people: [], by, since: NOW, rows: this.rows });
  };
  policyChanges: IAdminApi['policyChanges'] = () => {
    this.calls.push('changes');
    return Promise.resolve([{ ...CHANGE, seq: 6, allowed: true, reason: '' }, CHANGE]);
  };
  reviews: IAdminApi['reviews'] = () => {
    const waiting = { waiting: [{}, {}], publications: [], requests: [{}] } as unknown as Reviews;
    return this.noReviews ? Promise.reject(new ApiError('no such route')) : Promise.resolve(waiting);
  };
}

describe('the Admin tab', () => {
  let api: FakeAdminApi;
  let model: AdminModel;
  let opened: number;
  let container: HTMLElement;

  const show = async (): Promise<void> => {
    const view = (): React.JSX.Element => <AdminView model={model} onReview={() => (opened += 1)} />;
    const shown = render(view());
    container = shown.container;
    model.stateChanged.connect(() => act(() => shown.rerender(view())));
    model.visible = true;
    await act(() => model.refresh());
  };
  const firsts = (): Array<string | null> =>
    within(screen.getByRole('table'))
      .getAllByRole('row')
      .slice(1, -1)
      .map(line => line.querySelector('th')?.textContent ?? null);
  const table = (): HTMLElement => screen.getByRole('table');

  beforeEach(() => {
    api = new FakeAdminApi();
    model = new AdminModel(api);
    opened = 0;
  });

  afterEach(() => model.dispose());

  it('says who used how much, the biggest first, with sums, and has no violations', async () => {
    await show();
    expect(firsts()).toEqual(['ana', 'ben', 'cid']);
    expect(within(table()).getByRole('row', { name: /^Together/ }).textContent).toContain('18.5');
    expect(screen.queryByText(/GPU/)).toBeNull();
    expect((await axe(container)).violations).toEqual([]);
  });

  it('answers a choice that is made while it is read', async () => {
    await show();
    let answer = (): void => undefined;
    const answered = new Promise<void>(resolve => (answer = resolve));
    api.policyChanges = () => answered.then(() => []);
    const reading = model.refresh();
    await new Promise(resolve => setTimeout(resolve, 20)); // its use is read by then
    model.choose('24h', 'person');
    expect(model.stale).toBe(true);
    answer();
    await act(() => reading);
    await waitFor(() => expect(model.stale).toBe(false));
    expect(api.calls.filter(call => call === 'usage 24h person')).toHaveLength(1);
  });

  it('is sorted by its heads, which say so', async () => {
    await show();
    fireEvent.click(screen.getByRole('button', { name: 'Person' }));
    expect(firsts()).toEqual(['ana', 'ben', 'cid']);
    fireEvent.click(screen.getByRole('button', { name: 'Person' }));
    expect(firsts()).toEqual(['cid', 'ben', 'ana']);
    expect(screen.getByRole('columnheader', { name: 'Person' }).getAttribute('aria-sort')).toBe('descending');
    fireEvent.click(screen.getByRole('button', { name: 'Memory (GiB·h)' }));
    expect(firsts()[0]).toBe('ana');
  });

  it('sums by something else, since another time', async () => {
    await show();
    api.rows = [row('ana', 1, { key: '2026-03-01' }), row('ana', 2, { key: '' })];
    await act(async () => {
      fireEvent.change(screen.getByLabelText('Since when'), { target: { value: '7d' } });
      fireEvent.change(screen.getByLabelText('Summed by what'), { target: { value: 'notebook' } });
      await model.refresh();
    });
    expect(api.calls).toContain('usage 7d notebook');
    expect(screen.getByRole('columnheader', { name: 'Notebook' })).toBeTruthy();
    expect(within(table()).getByText('(none)')).toBeTruthy();
  });

  it('shows what changed in the policy, the newest first', async () => {
    await show();
    const items = within(screen.getByRole('region', { name: 'Policy' })).getAllByRole('listitem');
    expect(items.map(item => item.textContent)).toEqual([
      expect.stringContaining('unknown key'),
      expect.stringContaining('read again')
    ]);
  });

  it('leads to what waits for one', async () => {
    await show();
    fireEvent.click(screen.getByRole('button', { name: '3 things wait for your word: review…' }));
    expect(opened).toBe(1);
  });

  it('is there without the reviews', async () => {
    api.noReviews = true;
    await show();
    expect(screen.queryByRole('button', { name: /your word/ })).toBeNull();
    expect(firsts()).toHaveLength(3);
  });

  it('shows their own use to others, says why not more, and asks for no history', async () => {
    api.meAnswer = aMe();
    api.rows = [row('ana', 1)];
    await show();
    expect(screen.getByRole('heading', { name: 'What you used' })).toBeTruthy();
    expect(screen.getByText(/are for admins/)).toBeTruthy();
    expect(api.calls).not.toContain('changes');
    expect((await axe(container)).violations).toEqual([]);
  });

  it('has words for nothing, for a refusal and for a server that is away', async () => {
    api.rows = [];
    await show();
    expect(screen.getByText('Nothing was used in this time')).toBeTruthy();
    api.failure = new ApiError('not yours', { status: 403, nextStep: 'ask carol', rule: 'guardrails.yaml:1 r' });
    await act(() => model.refresh());
    expect(screen.getByRole('alert').textContent).toMatch(/not yours.*ask carol.*guardrails.yaml:1 r/);
    api.failure = new ApiError('gone', { offline: true });
    await act(() => model.refresh());
    expect(screen.getByText('The server cannot be reached')).toBeTruthy();
    expect(screen.getByText('Nothing was used in this time')).toBeTruthy(); // what was known stays
  });

  it('takes names and reasons as text, and draws at most 500 rows', async () => {
    api.rows = Array.from({ length: 600 }, (_, number) => row(`<b>p${number}</b>`, number));
    await show();
    expect(container.querySelector('td b, th b')).toBeNull();
    expect(firsts()).toHaveLength(500);
    expect(firsts()[0]).toBe('<b>p599</b>');
    expect(screen.getByText(/The first 500 of 600 rows/)).toBeTruthy();
  });

  it('is read only while it can be seen', () => {
    model.start();
    expect(api.calls).toEqual([]);
  });
});
