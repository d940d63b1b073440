import { nullTranslator } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';
import { act } from '@testing-library/react';
import React from 'react';

import { GuardrailsSidePanel } from '../panel';
import { DatasetModel } from '../state/datasetModel';
import { QuotaModel } from '../state/quotaModel';
import { SubmissionModel } from '../state/submissionModel';
import { FakeApi } from './fakeApi';
import { FakeNotebooks } from './fakeNotebooks';

describe('the panel', () => {
  const api = new FakeApi();
  const quotas = new QuotaModel(api);
  const datasets = new DatasetModel(api);
  const submissions = new SubmissionModel(api);
  let panel: GuardrailsSidePanel;

  beforeEach(async () => {
    panel = new GuardrailsSidePanel({
      sections: [
        { id: 'limits', label: 'Limits', model: quotas, render: () => <p>limits</p> },
        { id: 'datasets', label: 'Data', model: datasets, render: () => <p>data</p> },
        { id: 'submit', label: 'Submit', model: submissions, render: () => <p>submit</p> }
      ],
      notebooks: new FakeNotebooks(),
      translator: nullTranslator
    });
    Widget.attach(panel, document.body);
    await act(() => new Promise<void>(resolve => requestAnimationFrame(() => resolve())));
  });

  afterEach(() => panel.dispose());

  const visible = (): boolean[] => [quotas.visible, datasets.visible, submissions.visible];

  it('reads the server only for the part that can be seen', () => {
    expect(visible()).toEqual([true, false, false]);
    panel.section = 'submit';
    expect(visible()).toEqual([false, false, true]);
    panel.hide();
    expect(visible()).toEqual([false, false, false]);
    panel.show();
    expect(visible()).toEqual([false, false, true]);
    Widget.detach(panel);
    expect(visible()).toEqual([false, false, false]);
  });

  it('names its parts by their tabs', () => {
    const tabs = [...panel.node.querySelectorAll('[role=tab]')];
    expect(tabs.map(tab => tab.textContent)).toEqual(['Limits', 'Data', 'Submit']);
    for (const tab of tabs) {
      const part = panel.node.querySelector(`#${tab.getAttribute('aria-controls')}`);
      expect(part?.getAttribute('aria-labelledby')).toBe(tab.id);
    }
  });

  it('follows a click on a tab', async () => {
    await act(async () => {
      (panel.node.querySelectorAll('[role=tab]')[1] as HTMLElement).click();
      await Promise.resolve();
    });
    expect(panel.section).toBe('datasets');
  });
});
