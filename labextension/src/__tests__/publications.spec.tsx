import { act, fireEvent, render, screen, waitFor, within } from '@testing-library/react';
import { axe } from 'jest-axe';
import React from 'react';

import { ApiError } from '../api/errors';
import type { AccessRequest, Publications } from '../api/generated/openapi';
import { DatasetsView } from '../features/datasets/DatasetsView';
import { DatasetModel } from '../state/datasetModel';
import { aPublication, FakeApi, NOW, PRODUCED } from './fakeApi';
import { FakeNotebooks } from './fakeNotebooks';

const SAID = { reviewer: 'dana', classification: null, at: NOW };

describe('published data', () => {
  let api: FakeApi;
  let model: DatasetModel;
  let container: HTMLElement;

  async function show(values: Partial<Publications> = {}): Promise<HTMLElement> {
    api.publicationsAnswer = { ...api.publicationsAnswer, groups: ['team', 'leads'], ...values };
    const view = (): React.JSX.Element => (
      <DatasetsView model={model} notebooks={new FakeNotebooks()} onNewNotebook={() => undefined} />
    );
    const drawn = render(view());
    container = drawn.container;
    model.stateChanged.connect(() => act(() => drawn.rerender(view())));
    await model.refresh();
    return container;
  }

  const press = (name: string | RegExp): boolean => fireEvent.click(screen.getByRole('button', { name }));
  const mine = (): HTMLElement => screen.getByRole('region', { name: 'Published by me' });

  beforeEach(() => {
    Element.prototype.scrollIntoView = jest.fn(); // jsdom has none
    api = new FakeApi();
    model = new DatasetModel(api);
    model.visible = true;
  });

  afterEach(() => model.dispose());

  it('has texts of any length and direction, which turn nothing around and are all in reach', async () => {
    const description = `${'מכירות '.repeat(100)}last`;
    await show({
      publications: [aPublication({ description })],
      to_review: [aPublication({ description, name: 'x/y' })]
    });
    for (const region of [mine(), screen.getByRole('region', { name: 'Waits for a decision' })]) {
      const told = region.querySelector('.jp-Guardrails-description') as HTMLElement;
      expect([told.dir, told.textContent?.includes('last')]).toEqual(['auto', false]);
      fireEvent.click(told.querySelector('button') as HTMLElement);
      expect(told.querySelector('bdi')?.textContent).toBe(description);
    }
  });

  it('shows everything that a reviewer looks at', async () => {
    const findings = [{ column: 'mail', kind: 'EMAIL_ADDRESS', count: 2 }];
    const one = aPublication({
      classification: 'internal',
      inherited: 'confidential',
      inputs: [{ name: 'hr/staff', version: '2.0.0', classification: 'confidential' }],
      produced_by: PRODUCED,
      purposes: ['churn'],
      expires_at: '2026-05-01T00:00:00Z',
      scan: { by: 'presidio-analyzer', rows: 2, findings },
      decisions: [{ ...SAID, decision: 'send_back', reason: 'leave the birthdays out' }]
    });
    await show({ publications: [one] });
    expect(mine().textContent).toContain('sent back');
    expect(mine().textContent).toContain('dana: leave the birthdays out');
    press('team/churn');
    for (const text of [
      'internal (inherited: confidential)',
      'hr/staff · 2.0.0 · confidential',
      'job sales, version 3, run 12',
      'churn',
      '2026-05-01',
      '2 rows · 2 KiB · parquet',
      'EMAIL_ADDRESS in 2 cells of mail',
      '0123456789ab'
    ]) {
      expect(mine().textContent).toContain(text);
    }
    expect(screen.getByRole('region', { name: 'Columns of team/churn' }).textContent).toContain('pii');
    expect((await axe(container)).violations).toEqual([]);
  });

  it('says that nobody looked for personal data, which is not that there is none', async () => {
    await show({ publications: [aPublication({ scan: { by: '', rows: 0, findings: [] } })] });
    press('team/churn');
    expect(mine().textContent).toContain('nobody looked');
    expect(mine().textContent).not.toContain('none found');
  });

  it('is proposed to a group, and then says for whom it waits', async () => {
    await show({ publications: [aPublication()] });
    expect(mine().textContent).toContain('only you');
    press('Propose team/churn');
    const form = screen.getByRole('form', { name: 'Propose team/churn' });
    fireEvent.change(within(form).getByRole('combobox'), { target: { value: 'leads' } });
    expect((await axe(container)).violations).toEqual([]);
    const waits = { deciders: ['dana', 'group data'], waits_for: ['hr/staff'] };
    api.publicationsAnswer = { ...api.publicationsAnswer, publications: [aPublication(waits)] };
    fireEvent.click(within(form).getByRole('button', { name: 'Propose' }));
    await waitFor(() =>
      expect(mine().textContent).toContain('Waits for dana, group data, about hr/staff. Nobody approves their own.')
    );
    expect(api.calls).toContain('propose team/churn leads');
    expect(document.activeElement?.textContent).toBe('team/churn');
    expect(screen.queryByRole('button', { name: 'Propose team/churn' })).toBeNull();
  });

  it('keeps the form, with the reason, where it is refused', async () => {
    await show({ publications: [aPublication()] });
    press('Propose team/churn');
    api.failure = new ApiError('you may not', { nextStep: 'ask an admin', rule: 'guardrails.yaml:9 team' });
    press('Propose');
    const form = within(screen.getByRole('form', { name: 'Propose team/churn' }));
    await waitFor(() => expect(form.getByRole('alert').textContent).toContain('you may not'));
    expect(form.getByRole('alert').textContent).toContain('guardrails.yaml:9 team');
  });

  it('is withdrawn after a second word, and then counted as over', async () => {
    await show({ publications: [aPublication({ state: 'proposed', group: 'team' })] });
    press('Withdraw team/churn');
    fireEvent.change(screen.getByLabelText('Why? (may stay empty)'), { target: { value: 'wrong month' } });
    press('Withdraw');
    await waitFor(() => expect(mine().textContent).toContain('1 version is over.'));
    expect(api.calls).toContain('withdraw team/churn wrong month');
  });

  it('is not published from here where nobody would look at it', async () => {
    await show({ publications: [aPublication()], reviewed: false });
    expect(mine().textContent).toContain('jupyter guardrails data propose team/churn --to team');
    expect(screen.queryByRole('button', { name: 'Propose team/churn' })).toBeNull();
  });

  it('that others read is taken back outside, since they would lose it', async () => {
    await show({ publications: [aPublication({ state: 'published', group: 'team' })] });
    expect(mine().textContent).toContain('jupyter guardrails data withdraw team/churn');
    expect(screen.queryByRole('button', { name: 'Withdraw team/churn' })).toBeNull();
  });

  it('is brought along from a file where that is allowed', async () => {
    await show({ imports: true });
    expect(mine().textContent).toContain('guarded.publish');
    press('Bring a file along…');
    const form = screen.getByRole('form', { name: 'Bring a file along' });
    const go = within(form).getByRole('button', { name: 'Bring along' });
    expect(go.hasAttribute('disabled')).toBe(true);
    for (const [label, value] of [
      ['File in your workspace', 'data/survey.csv'],
      ['Name of the dataset', 'team/survey'],
      ['What is it, and where is it from?', 'our own']
    ] as const) {
      fireEvent.change(within(form).getByLabelText(label), { target: { value } });
    }
    expect((await axe(container)).violations).toEqual([]);
    fireEvent.click(go);
    await waitFor(() => expect(mine().textContent).toContain('team/survey'));
    expect(api.calls).toContain('bring data/survey.csv team/survey our own');
  });

  it('is nothing where nobody may publish', async () => {
    await show({ groups: [] });
    expect(model.loaded).toBe(true);
    expect(screen.queryByRole('region', { name: 'Published by me' })).toBeNull();
    expect(screen.queryByRole('navigation')).toBeNull();
  });

  it('of others waits with its evidence and the commands that decide, and no button does', async () => {
    const theirs = aPublication({ name: 'team/theirs', author: 'ben', state: 'proposed', group: 'team' });
    await show({ to_review: [theirs] });
    press('Waits for a decision (1)');
    const waiting = screen.getByRole('region', { name: 'Waits for a decision' });
    expect(document.activeElement).toBe(waiting);
    expect(waiting.textContent).toContain('ben proposes version 1 to team');
    expect(waiting.textContent).toContain('jupyter guardrails data approve team/theirs --digest 0123456789ab');
    press('team/theirs');
    await waitFor(() => expect(screen.getByRole('region', { name: 'First rows of team/theirs' })).toBeTruthy());
    expect(within(waiting).queryByRole('button', { name: /^(Approve|Send back)/ })).toBeNull();
    expect((await axe(container)).violations).toEqual([]);
  });

  it('stands apart from what others ask for', async () => {
    const asked = (id: string, person: string): AccessRequest => ({
      id,
      kind: 'access',
      dataset: 'hr/salaries',
      person,
      purpose: `for ${person}`,
      days: 7,
      state: 'open',
      created_at: NOW
    });
    const before = { ...asked('r-0', 'ana'), state: 'refused', decided_by: 'dana', reason: 'ask for less' } as const;
    api.requestsAnswer = [asked('r-1', 'ana'), asked('r-2', 'ben'), before];
    await show();
    const own = screen.getByRole('region', { name: 'My requests' });
    expect(own.textContent).toContain('for ana');
    expect(own.textContent).toContain('dana: ask for less');
    expect(own.textContent).not.toContain('for ben');
    const waiting = screen.getByRole('region', { name: 'Waits for a decision' });
    expect(waiting.textContent).toContain('ben asks for hr/salaries');
    expect(waiting.textContent).toContain('jupyter guardrails data grant r-2');
    expect(model.requestFor('hr/salaries')?.id).toBe('r-1');
  });
});
