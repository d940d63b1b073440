import { act, fireEvent, render, screen, within } from '@testing-library/react';
import { axe } from 'jest-axe';
import React from 'react';

import type { Submission } from '../api/generated/openapi';
import { StateBadge } from '../features/submit/StateBadge';
import { SubmitView } from '../features/submit/SubmitView';
import { SubmissionModel } from '../state/submissionModel';
import { aCheck, aSubmission, FakeApi } from './fakeApi';
import { FakeNotebooks } from './fakeNotebooks';

describe('the badge of a submission', () => {
  it.each<[Partial<Submission>, [number, number] | null, string]>([
    [{ state: 'in_review', self_test: true }, [0, 1], 'self-test'],
    [{ state: 'in_review', self_test: false }, null, 'in review'],
    [{ state: 'in_review', self_test: false }, [1, 2], 'in review: 1 of 2'],
    [{ state: 'in_review' }, null, 'packaged'],
    [{ state: 'draft', checks: [aCheck()] }, null, 'draft checked'],
    [{ state: 'draft', checks: [aCheck()], sample: false }, null, 'draft checked'],
    [{ state: 'draft', checks: [aCheck()], sample: true }, null, 'sample'],
    [{ state: 'draft', checks: [], sample: true }, null, 'checking']
  ])('of %j with approvals %j is %s', (values, counts, word) => {
    const [approvals, needed] = counts ?? [0, 0];
    const production = counts
      ? { decisions: [], missing: [], objections: null, deployments: [], approvals, needed }
      : undefined;
    const { container } = render(<StateBadge submission={aSubmission(values)} production={production} />);
    expect(container.textContent).toBe(word);
  });
});

describe('what an author may do about a submission', () => {
  let api: FakeApi;
  let model: SubmissionModel;
  let container: HTMLElement;

  const showing = async (...submissions: Submission[]): Promise<void> => {
    api.submissionsAnswer = submissions;
    await act(() => model.refresh());
  };
  const button = (name: string): HTMLElement => screen.getByRole('button', { name });
  const click = (name: string): Promise<void> =>
    act(async () => {
      fireEvent.click(button(name));
      await Promise.resolve();
    });

  beforeEach(() => {
    api = new FakeApi();
    model = new SubmissionModel(api);
    const notebooks = new FakeNotebooks();
    model.notebook = notebooks.path;
    const view = (): React.JSX.Element => <SubmitView model={model} notebooks={notebooks} />;
    const drawn = render(view());
    container = drawn.container;
    model.stateChanged.connect(() => act(() => drawn.rerender(view())));
    model.visible = true;
  });

  afterEach(() => model.dispose());

  it('is to let reviewers look at a draft, and no longer', async () => {
    await showing(aSubmission({ state: 'checks_failed', self_test: false, shared: false }));
    await click('Show it to reviewers');
    expect(api.calls).toContain('share s1 true');
    expect(container.textContent).toContain('Reviewers may look at it; nobody decides about it.');
    await click('Show it to reviewers no longer');
    expect(api.calls).toContain('share s1 false');
    expect(screen.queryByText(/may look at it/)).toBeNull();
  });

  it('is no sharing where there is nobody to share with, or where checks run', async () => {
    await showing(aSubmission({ state: 'checks_failed', self_test: true }));
    expect(screen.queryByRole('button', { name: 'Show it to reviewers' })).toBeNull();
    await showing(aSubmission({ state: 'checking', self_test: false }));
    expect(screen.queryByRole('button', { name: 'Show it to reviewers' })).toBeNull();
  });

  it.each<[Submission['state'], boolean]>([
    ['in_review', true],
    ['changes_requested', true],
    ['approved', true],
    ['deployed', false],
    ['withdrawn', false],
    ['rejected', false]
  ])('in state %s is to take it back: %s', async (state, can) => {
    await showing(aSubmission({ state }));
    expect(screen.queryAllByRole('button', { name: 'Withdraw…' })).toHaveLength(can ? 1 : 0);
  });

  it('is taken back after a second word alone', async () => {
    await showing(aSubmission({ state: 'in_review' }));
    await click('Withdraw…');
    expect(api.calls).not.toContain('withdraw s1');
    await click('Keep it');
    await click('Withdraw…');
    expect((await axe(container)).violations).toEqual([]);
    await click('Withdraw it');
    expect(api.calls).toContain('withdraw s1');
    expect(within(container).getAllByText('withdrawn').length).toBeGreaterThan(0);
  });

  it('is to find it among many', async () => {
    const many = Array.from({ length: 500 }, (_, number) =>
      aSubmission({ id: `s${number}`, name: `n${number}`, notebook: `n${number}.ipynb`, state: 'in_review' })
    );
    await showing(...many);
    const list = screen.getByRole('region', { name: 'My submissions' });
    expect(within(list).getAllByRole('listitem')).toHaveLength(50);
    expect(list.textContent).toContain('50 of 500');
    await click('Show older ones');
    await act(() => model.refresh());
    expect(within(list).getAllByRole('listitem')).toHaveLength(100);
    fireEvent.change(screen.getByRole('searchbox', { name: 'Search submissions' }), { target: { value: 'n47' } });
    await act(() => model.refresh());
    expect(within(list).getAllByRole('listitem')).toHaveLength(11); // 47, 470 to 479
    expect(within(list).getByRole('status').textContent).toBe('11 submissions found');
    fireEvent.change(screen.getByRole('searchbox', { name: 'Search submissions' }), { target: { value: '<b>no</b>' } });
    await act(() => model.refresh());
    expect(list.textContent).toContain('None of a notebook with “<b>no</b>” in its path.');
    expect((await axe(list)).violations).toEqual([]);
  });

  it('needs no search where there are few', async () => {
    await showing(aSubmission({ state: 'draft' }));
    expect(screen.queryByRole('searchbox')).toBeNull();
  });
});
