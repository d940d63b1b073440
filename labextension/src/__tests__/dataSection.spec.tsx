import { act, fireEvent, render, screen } from '@testing-library/react';
import { axe } from 'jest-axe';
import React from 'react';

import type { AccessRequest } from '../api/generated/openapi';
import { SubmitView } from '../features/submit/SubmitView';
import { SubmissionModel } from '../state/submissionModel';
import { aCheck, aSubmission, FakeApi, NOW } from './fakeApi';
import { FakeNotebooks } from './fakeNotebooks';

const FINDING = { message: 'you may not read hr/x', offer: { do: 'request', dataset: 'hr/x' } as const };
const ASKED: AccessRequest = {
  id: 'r1',
  kind: 'access',
  dataset: 'hr/x',
  person: 'ana',
  purpose: 'study',
  days: 30,
  state: 'open',
  created_at: NOW
};

describe('data that a submission may not read', () => {
  let api: FakeApi;
  let model: SubmissionModel;
  let container: HTMLElement;

  beforeEach(async () => {
    api = new FakeApi();
    model = new SubmissionModel(api);
    const notebooks = new FakeNotebooks();
    model.notebook = notebooks.path;
    model.visible = true;
    const checks = [aCheck({ state: 'failed', findings: [FINDING, FINDING] })];
    api.submissionsAnswer = [aSubmission({ state: 'checks_failed', error: 'failed: data', checks })];
    const view = (): React.JSX.Element => <SubmitView model={model} notebooks={notebooks} />;
    const drawn = render(view());
    container = drawn.container;
    model.stateChanged.connect(() => act(() => drawn.rerender(view())));
    await act(() => model.refresh());
  });

  afterEach(() => model.dispose());

  const has = (name: string): boolean => screen.queryAllByRole('button', { name }).length > 0;
  const answered = async (state: AccessRequest['state'], person = 'ana'): Promise<void> => {
    api.requestsAnswer = [{ ...ASKED, state, person }];
    await act(() => model.refresh());
  };

  it('is asked for from the finding, once', async () => {
    fireEvent.click(screen.getAllByRole('button', { name: 'Request access to hr/x…' })[0] as HTMLElement);
    const purpose = screen.getByLabelText('What do you need it for?');
    expect(document.activeElement).toBe(purpose);
    expect((await axe(container)).violations.map(({ id }) => id)).toEqual([]);
    fireEvent.change(purpose, { target: { value: 'staffing study' } });
    await act(async () => {
      fireEvent.click(screen.getByRole('button', { name: 'Send request' }));
      await Promise.resolve(); // it is answered
    });
    expect(api.calls).toContain('request hr/x staffing study 30');
    expect(container.textContent).toContain('nobody has answered yet');
    expect([has('Request access to hr/x…'), has('Request access')]).toEqual([false, false]);
  });

  it('is checked again once access was given', async () => {
    await answered('open');
    expect(has('Check again')).toBe(false);
    await answered('granted');
    expect(container.textContent).toContain('Access was given');
    await act(async () => {
      fireEvent.click(screen.getByRole('button', { name: 'Check again' }));
      await Promise.resolve(); // it was saved
    });
    expect(api.calls).toContain('submit {"notebook":"analysis/churn.ipynb","draft":true}');
  });

  it.each(['refused', 'expired', 'revoked'] as const)('can be asked for anew when it is %s', async state => {
    await answered(state);
    expect(has('Request access to hr/x…')).toBe(true);
  });

  it('is not taken for asked when somebody else did', async () => {
    await answered('open', 'dana');
    expect(has('Request access to hr/x…')).toBe(true);
  });
});
