import { nullTranslator } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';
import { act, screen, waitFor } from '@testing-library/react';
import React from 'react';

import { GuardrailsSidePanel } from '../panel';
import { PanelSettings } from '../settings';
import { DatasetModel } from '../state/datasetModel';
import { QuotaModel } from '../state/quotaModel';
import { SubmissionModel } from '../state/submissionModel';
import { FakeApi } from './fakeApi';
import { FakeNotebooks } from './fakeNotebooks';
import { registryOf } from './fakeSettings';

describe('the panel', () => {
  const api = new FakeApi();
  const quotas = new QuotaModel(api);
  const datasets = new DatasetModel(api);
  const submissions = new SubmissionModel(api);
  const settings = new PanelSettings();
  let panel: GuardrailsSidePanel;

  beforeEach(async () => {
    panel = new GuardrailsSidePanel({
      sections: [
        { id: 'limits', label: 'Limits', model: quotas, render: () => <p>limits</p> },
        { id: 'datasets', label: 'Data', model: datasets, render: () => <input aria-label="words" /> },
        { id: 'submit', label: 'Submit', model: submissions, render: () => <p>submit</p> }
      ],
      notebooks: new FakeNotebooks(),
      settings,
      translator: nullTranslator
    });
    Widget.attach(panel, document.body);
    await waitFor(() => expect(panel.node.querySelectorAll('[role=tab]')).toHaveLength(3));
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

  it('gives the focus to the tab in front, or to what is asked for', async () => {
    panel.section = 'submit';
    await panel.focus();
    expect(document.activeElement?.textContent).toBe('Submit');
    await act(() => panel.focus('p'));
    expect(document.activeElement?.textContent).toBe('Submit'); // nothing there takes the focus
    panel.section = 'datasets';
    await act(() => panel.focus('input'));
    expect(document.activeElement?.getAttribute('aria-label')).toBe('words');
  });

  it('teaches until that was read, and the focus stays in the part', async () => {
    await act(() => settings.follow(registryOf({}), 'p'));
    await act(() => panel.focus('input, p'));
    const button = screen.getAllByRole('button', { name: 'Got it' })[0] as HTMLElement;
    expect(panel.node.textContent).toContain('nothing ends without a warning');
    button.focus();
    await act(async () => {
      button.click();
      await Promise.resolve();
    });
    await waitFor(() => expect(screen.queryByRole('button', { name: 'Got it' })).toBeNull());
    expect(panel.node.contains(document.activeElement)).toBe(true);
  });

  it('follows a click on a tab', async () => {
    await act(async () => {
      (panel.node.querySelectorAll('[role=tab]')[1] as HTMLElement).click();
      await Promise.resolve();
    });
    expect(panel.section).toBe('datasets');
  });

  it('gives the focus to the tab of the part in front, and says whether it has it', () => {
    expect(panel.hasFocus).toBe(false);
    panel.section = 'submit';
    void panel.focus();
    expect(panel.hasFocus).toBe(true);
    expect(document.activeElement?.textContent).toBe('Submit');
  });
});
