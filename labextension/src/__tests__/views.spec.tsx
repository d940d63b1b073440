import { act, fireEvent, render, screen, within } from '@testing-library/react';
import { axe } from 'jest-axe';
import React from 'react';

import { ApiError } from '../api/errors';
import { DatasetsView } from '../features/datasets/DatasetsView';
import { MemoryStatus } from '../features/quotas/MemoryStatus';
import { QuotasView } from '../features/quotas/QuotasView';
import { SubmitView } from '../features/submit/SubmitView';
import { DatasetModel } from '../state/datasetModel';
import { PollModel } from '../state/pollModel';
import { QuotaModel } from '../state/quotaModel';
import { SubmissionModel } from '../state/submissionModel';
import { aCheck, aDataset, aKernel, aMe, aSubmission, FakeApi, GIB } from './fakeApi';
import { FakeNotebooks } from './fakeNotebooks';

/** Draws a view and draws it again with each change of its model, as the panel does. */
function show(model: PollModel, view: () => React.JSX.Element): HTMLElement {
  const { container, rerender } = render(view());
  model.stateChanged.connect(() => act(() => rerender(view())));
  return container;
}

async function expectNoViolations(container: Element): Promise<void> {
  const { violations } = await axe(container);
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join()}`)).toEqual([]);
}

describe('limits', () => {
  let api: FakeApi;
  let model: QuotaModel;
  let notebooks: FakeNotebooks;
  let container: HTMLElement;

  beforeEach(() => {
    api = new FakeApi();
    model = new QuotaModel(api);
    notebooks = new FakeNotebooks();
    model.setCurrentKernel('k1', false);
    container = show(model, () => <QuotasView model={model} notebooks={notebooks} />);
  });

  afterEach(() => model.dispose());

  it('say that they are being read', () =>
    expect(screen.getByRole('status', { name: 'Reading your limits' })).toBeTruthy());

  it('show memory, peak, processor, sizes, what is enforced and who stands behind it', async () => {
    await model.refresh();
    expect(screen.getByRole('meter', { name: 'Memory' }).getAttribute('aria-valuetext')).toBe('512 MiB of 2 GiB');
    for (const text of [
      'churn.ipynb',
      '1 GiB',
      '0.4 of 1 core',
      'not held',
      'delegate a cgroup',
      aMe().boundary,
      'No budget is set'
    ]) {
      expect(container.textContent).toContain(text);
    }
    await expectNoViolations(container);
  });

  it('say which budget is nearly used up, until when, and what happens then', async () => {
    api.budgetAnswer = {
      cpu_hours: { used: 39, reserved: 0.5, limit: 40 },
      memory_gib_hours: { used: 1, reserved: 1, limit: 160 },
      gpu_hours: { used: 0, reserved: 0, limit: null },
      per_s: 604800,
      window: 'last 7 d',
      shared_by: 'analysts',
      time_left_s: 5400,
      at_limit: 'No new kernel starts.',
      rule: 'guardrails.yaml:5 r'
    };
    await model.refresh();
    for (const text of [
      '39 h of 40 h',
      'nearly full',
      'over the last 7 days',
      'everyone of analysts together',
      'lasts for 1.5 h',
      'No new kernel starts.',
      'guardrails.yaml:5 r'
    ]) {
      expect(container.textContent).toContain(text);
    }
  });

  it.each([
    [true, 'a cell gets a MemoryError'],
    [false, 'it is measured, not held']
  ])('say what happens at 100%% of the memory (held: %s)', async (held, words) => {
    api.meAnswer = aMe({ enforced: [{ name: 'memory', held, how: '', next_step: '' }] });
    await model.refresh();
    expect(container.textContent).toContain(words);
  });

  it('say that a budget is used up, and not how long it lasts', async () => {
    const used = { used: 41, reserved: 0, limit: 40 };
    api.budgetAnswer = { ...api.budgetAnswer, cpu_hours: used, window: 'last 7 d', time_left_s: 0 };
    await model.refresh();
    expect(container.textContent).toContain('· used up');
    expect(container.textContent).not.toContain('lasts for');
  });

  it('choose the size of the next kernel and offer the restart that needs', async () => {
    await model.refresh();
    await act(async () => {
      fireEvent.change(screen.getByRole('combobox', { name: /Size of the next kernel/ }), {
        target: { value: 'large' }
      });
      await Promise.resolve();
    });
    fireEvent.click(await screen.findByRole('button', { name: 'Restart kernel…' }));
    expect(api.calls).toContain('profile large');
    expect(notebooks.done).toEqual(['restart']);
  });

  it('show mistakes of the policy with their place', async () => {
    const policy = { ...aMe().policy, errors: ["guardrails.yaml:14:3: unknown key 'kernal'"] };
    api.meAnswer = aMe({ policy });
    await model.refresh();
    expect(container.textContent).toContain('The policy file has mistakes');
    expect(container.textContent).toContain("guardrails.yaml:14:3 unknown key 'kernal'");
  });

  it('say that nothing runs', async () => {
    api.kernelsAnswer = { kernels: [], ended: [], max: 4, rule: '' };
    await model.refresh();
    expect(container.textContent).toContain('Nothing is running');
  });

  it('keep what they showed while the server is away', async () => {
    await model.refresh();
    api.failure = new ApiError('x', { offline: true });
    await model.refresh();
    expect(container.textContent).toContain('The server cannot be reached');
    expect(screen.getByRole('meter', { name: 'Memory' })).toBeTruthy();
  });
});

describe('memory in the status bar', () => {
  it.each([
    [1, 'Memory 1 GiB of 2 GiB'],
    [1.7, 'Memory 1.7 GiB of 2 GiB, high'],
    [1.95, 'Memory 1.95 GiB of 2 GiB, nearly full']
  ])('%d GiB: %s', (gib, text) => {
    let opened = 0;
    render(<MemoryStatus kernel={aKernel({ memory_bytes: gib * GIB })} onOpen={() => (opened += 1)} />);
    fireEvent.click(screen.getByRole('button', { name: text }));
    expect(opened).toBe(1);
  });
});

describe('datasets', () => {
  let api: FakeApi;
  let model: DatasetModel;
  let notebooks: FakeNotebooks;
  let container: HTMLElement;
  let opened: number;

  beforeEach(() => {
    api = new FakeApi();
    model = new DatasetModel(api);
    notebooks = new FakeNotebooks();
    opened = 0;
    model.visible = true;
    container = show(model, () => (
      <DatasetsView model={model} notebooks={notebooks} onNewNotebook={() => (opened += 1)} />
    ));
  });

  afterEach(() => model.dispose());

  const item = (name: string): HTMLElement => screen.getByRole('button', { name }).closest('li') as HTMLElement;

  it('say what can be used, asked for, is refused (by which rule) or broken', async () => {
    api.catalogue.push(
      aDataset({ name: 'fin/ledger', status: 'refused', rule: 'guardrails.yaml:41 shut', next_step: 'ask carol' }),
      aDataset({ name: 'ops/broken', status: 'broken', error: 'no schema' })
    );
    await model.refresh();
    expect(item('nyc/flights').textContent).toContain('ready');
    expect(item('hr/salaries').textContent).toContain('on request');
    expect(item('fin/ledger').textContent).toContain('guardrails.yaml:41 shut');
    expect(item('fin/ledger').textContent).toContain('ask carol');
    expect(within(item('fin/ledger')).queryByRole('button', { name: /Request|Insert/ })).toBeNull();
    expect(item('ops/broken').textContent).toContain('no schema');
    await expectNoViolations(container);
  });

  it('mark what is open without us, one by one or once for all', async () => {
    const marks = (): number => screen.queryAllByText('advisory').length;
    api.catalogue = [aDataset({ advisory: true }), aDataset({ name: 'hr/salaries', advisory: false })];
    await model.refresh();
    expect([marks(), screen.queryByText(/Your own account can open all these/)]).toEqual([1, null]);
    await expectNoViolations(container);
    api.catalogue = api.catalogue.map(dataset => ({ ...dataset, advisory: true }));
    await model.refresh();
    expect(screen.getByText(/Your own account can open all these/)).toBeTruthy();
    expect(marks()).toBe(0);
  });

  it('insert code of the chosen library into the notebook', async () => {
    await model.refresh();
    model.library = 'path';
    fireEvent.click(screen.getByRole('button', { name: 'Insert code that opens nyc/flights' }));
    await screen.findByRole('button', { name: 'Insert code that opens nyc/flights' });
    await act(() => Promise.resolve());
    expect(notebooks.done).toEqual(['insert guarded.path()']);
  });

  it('say that a notebook cannot be written', async () => {
    notebooks.writable = false;
    await model.refresh();
    fireEvent.click(screen.getByRole('button', { name: 'Insert code that opens nyc/flights' }));
    expect((await screen.findByRole('alert')).textContent).toContain('read-only');
  });

  it('offer a notebook where none is open', async () => {
    notebooks.path = null;
    await model.refresh();
    fireEvent.click(screen.getByRole('button', { name: 'Open a notebook to use it' }));
    expect(opened).toBe(1);
  });

  it('show columns with masks, first rows and code', async () => {
    await model.refresh();
    fireEvent.click(screen.getByRole('button', { name: 'nyc/flights' }));
    await screen.findByRole('region', { name: 'Columns of nyc/flights' });
    expect(container.textContent).toContain('masked: hash');
    expect(screen.getByRole('region', { name: 'First rows of nyc/flights' }).textContent).toContain('N14228');
    fireEvent.change(screen.getByRole('combobox', { name: 'Library' }), { target: { value: 'path' } });
    expect(screen.getByRole('region', { name: 'Code' }).textContent).toBe('guarded.path()');
    await expectNoViolations(container);
  });

  it('ask for access with a purpose and a time', async () => {
    await model.refresh();
    fireEvent.click(screen.getByRole('button', { name: 'Request access' }));
    const form = screen.getByRole('form', { name: 'Request access to hr/salaries' });
    const send = within(form).getByRole<HTMLButtonElement>('button', { name: 'Send request' });
    expect(send.disabled).toBe(true);
    fireEvent.change(within(form).getByLabelText('What do you need it for?'), { target: { value: 'churn study' } });
    fireEvent.change(within(form).getByLabelText('For how many days?'), { target: { value: '14' } });
    fireEvent.click(send);
    expect(await screen.findByText(/nobody has answered yet/)).toBeTruthy();
    expect(api.calls).toContain('request hr/salaries churn study 14');
    expect(screen.getByRole('region', { name: 'My requests' }).textContent).toContain('waiting');
  });

  it('keep the form and say why a request failed', async () => {
    await model.refresh();
    fireEvent.click(screen.getByRole('button', { name: 'Request access' }));
    fireEvent.change(screen.getByLabelText('What do you need it for?'), { target: { value: 'churn study' } });
    api.failure = new ApiError('refused', { nextStep: 'ask carol' });
    fireEvent.click(screen.getByRole('button', { name: 'Send request' }));
    expect((await screen.findByRole('alert')).textContent).toContain('ask carol');
    expect(screen.getByLabelText<HTMLTextAreaElement>('What do you need it for?').value).toBe('churn study');
  });

  it('say that nothing was found, or that there is nothing', async () => {
    api.catalogue = [];
    await model.refresh();
    expect(container.textContent).toContain('No dataset is open to you yet');
    model.filter('granted');
    await model.refresh();
    expect(container.textContent).toContain('Nothing found');
  });
});

describe('submit', () => {
  let api: FakeApi;
  let model: SubmissionModel;
  let notebooks: FakeNotebooks;
  let container: HTMLElement;

  beforeEach(() => {
    api = new FakeApi();
    model = new SubmissionModel(api);
    notebooks = new FakeNotebooks();
    model.notebook = notebooks.path;
    model.visible = true;
    container = show(model, () => <SubmitView model={model} notebooks={notebooks} />);
  });

  afterEach(() => model.dispose());

  const button = (name: string): HTMLButtonElement => screen.getByRole('button', { name });

  it('asks for a notebook where none is open', () => {
    act(() => {
      model.notebook = null;
    });
    expect(container.textContent).toContain('No notebook is open');
    expect(screen.queryByRole('button', { name: 'Submit for production' })).toBeNull();
  });

  it('checks a draft by a sample, which a submission never is', async () => {
    fireEvent.click(screen.getByRole('checkbox', { name: /^its first/ }));
    fireEvent.click(button('Check draft'));
    await screen.findAllByText('checking');
    expect(api.calls).toContain('submit {"notebook":"analysis/churn.ipynb","draft":true,"sample_s":60}');
  });

  it('checks a draft on the first rows of its data, and on all of them again', async () => {
    const rows = screen.getByRole('checkbox', { name: 'the first 1000 rows of each dataset' });
    fireEvent.click(rows);
    fireEvent.click(screen.getByRole('checkbox', { name: /^its first/ }));
    fireEvent.click(button('Check draft'));
    await screen.findAllByText('checking');
    expect(api.calls).toContain(
      'submit {"notebook":"analysis/churn.ipynb","draft":true,"sample_rows":1000,"sample_s":60}'
    );
    fireEvent.click(rows);
    expect((rows as HTMLInputElement).checked).toBe(false);
  });

  it('submits the whole whatever is said of drafts', async () => {
    fireEvent.click(screen.getByRole('checkbox', { name: /^its first/ }));
    fireEvent.click(screen.getByRole('checkbox', { name: /^the first/ }));
    fireEvent.click(button('Submit for production'));
    await screen.findAllByText('checking');
    expect(api.calls).toContain('submit {"notebook":"analysis/churn.ipynb","draft":false}');
  });

  it('checks a draft, saved first, and cannot be clicked twice', async () => {
    fireEvent.click(button('Check draft'));
    await screen.findAllByText('checking');
    expect(notebooks.done).toEqual(['save']);
    expect(api.calls).toContain('submit {"notebook":"analysis/churn.ipynb","draft":true}');
    expect(button('Submit for production').disabled).toBe(true);
    expect(button('Cancel').disabled).toBe(false);
  });

  it('wants a reason before it submits with warnings', async () => {
    api.submissionsAnswer = [aSubmission({ state: 'draft', checks: [aCheck({ state: 'warned' })] })];
    await model.refresh();
    expect(button('Submit for production').disabled).toBe(true);
    fireEvent.change(screen.getByLabelText(/There are warnings/), { target: { value: 'known' } });
    fireEvent.click(button('Submit for production'));
    await screen.findAllByText('checking');
    expect(api.calls).toContain('submit {"notebook":"analysis/churn.ipynb","draft":false,"reason":"known"}');
  });

  it('shows the package with its digests', async () => {
    api.submissionsAnswer = [
      aSubmission({
        state: 'in_review',
        label: 'self-test: nobody else has approved this',
        checks: [aCheck()],
        package: 'churn-1.job.zip',
        content_digest: 'a'.repeat(64),
        evidence_digest: 'b'.repeat(64)
      })
    ];
    await model.refresh();
    const link = screen.getByRole('link', { name: 'Download churn-1.job.zip' });
    expect(link.getAttribute('href')).toBe('/guardrails/submissions/s1/package');
    expect(screen.getByTitle('a'.repeat(64)).textContent).toBe('a'.repeat(12));
    expect(container.textContent).toContain('nobody else has approved this');
    await expectNoViolations(container);
  });

  it('shows what failed, what next, and the cell', async () => {
    const failed = aCheck({ state: 'failed', findings: [{ cell: 4, message: 'a password' }] });
    api.submissionsAnswer = [
      aSubmission({ state: 'checks_failed', error: 'one check failed', next_step: 'mend it', checks: [failed] })
    ];
    await model.refresh();
    expect(screen.getByRole('alert').textContent).toContain('mend it');
    fireEvent.click(button('Cell 5'));
    expect(notebooks.done).toEqual(['reveal analysis/churn.ipynb 4']);
    await expectNoViolations(container);
  });

  it('lists all submissions and shows the clicked one', async () => {
    api.submissionsAnswer = [
      aSubmission({ id: 'a', state: 'draft' }),
      aSubmission({ id: 'b', name: 'other', notebook: 'o.ipynb', state: 'cancelled' })
    ];
    await model.refresh();
    fireEvent.click(
      within(screen.getByRole('region', { name: 'My submissions' })).getByRole('button', { name: /other/ })
    );
    expect(screen.getByRole('region', { name: 'Submission of o.ipynb' })).toBeTruthy();
  });

  it('says why submitting was refused', async () => {
    await model.refresh();
    api.failure = new ApiError('ana may not submit', { rule: 'guardrails.yaml:51 r' });
    fireEvent.click(button('Submit for production'));
    expect((await screen.findAllByRole('alert'))[0]?.textContent).toContain('guardrails.yaml:51 r');
  });
});
