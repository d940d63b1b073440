import { Notification } from '@jupyterlab/apputils';
import { nullTranslator } from '@jupyterlab/translation';
import { CommandRegistry } from '@lumino/commands';

import { ApiError } from '../api/errors';
import { CommandIDs } from '../commands';
import { addKernelCommands, addPanelCommands } from '../plugins/commands';
import { PanelSettings } from '../settings';
import { DatasetModel } from '../state/datasetModel';
import { QuotaModel } from '../state/quotaModel';
import { SubmissionModel } from '../state/submissionModel';
import { IGuardrailsPanel, SectionId } from '../tokens';
import { aKernel, FakeApi } from './fakeApi';
import { FakeNotebooks } from './fakeNotebooks';

describe('the commands', () => {
  let api: FakeApi;
  let notebooks: FakeNotebooks;
  let quotas: QuotaModel;
  let commands: CommandRegistry;
  let shown: string[];
  let inside: boolean;

  beforeEach(async () => {
    api = new FakeApi();
    notebooks = new FakeNotebooks();
    quotas = new QuotaModel(api);
    const panel: IGuardrailsPanel = {
      section: 'limits',
      isVisible: true,
      show: () => void shown.push('show'),
      enter: (section?: SectionId, selector?: string) => void shown.push([section, selector].filter(Boolean).join(' ')),
      leave: () => inside
    };
    const [datasets, submissions, settings] = [new DatasetModel(api), new SubmissionModel(api), new PanelSettings()];
    const models = { quotas, datasets, submissions, notebooks, settings };
    const context = { models, panel, trans: nullTranslator.load('') };
    shown = [];
    inside = false;
    commands = new CommandRegistry();
    addPanelCommands(commands, context);
    addKernelCommands(commands, context);
    quotas.setCurrentKernel('k1', false);
    await quotas.refresh();
  });

  afterEach(() => {
    Notification.dismiss();
    quotas.dispose();
  });

  it('have a label and a caption each', () => {
    for (const id of commands.listCommands()) {
      expect([id, commands.label(id) !== '' && commands.caption(id) !== '']).toEqual([id, true]);
    }
  });

  it('open each part by its name, and the one in front without', async () => {
    await commands.execute(CommandIDs.open, { section: 'datasets' });
    await commands.execute(CommandIDs.open, { section: 'elsewhere' });
    expect(shown).toEqual(['datasets', '']);
    inside = true; // the same keys lead back
    await commands.execute(CommandIDs.open);
    await commands.execute(CommandIDs.open, { section: 'limits' });
    expect(shown).toEqual(['datasets', '', 'limits']);
    expect(commands.label(CommandIDs.open, { section: 'submit' })).toBe('Show Production Submissions');
    expect(commands.label(CommandIDs.open)).toBe('Show Limits');
  });

  it('insert a dataset by its search, where there is a notebook', async () => {
    expect(commands.isEnabled(CommandIDs.insertDataset)).toBe(true);
    await commands.execute(CommandIDs.insertDataset);
    expect(shown).toEqual(['datasets input[type=search]']);
    notebooks.path = null;
    expect(commands.isEnabled(CommandIDs.insertDataset)).toBe(false);
  });

  it('keep a kernel that has an idle limit, and say so', async () => {
    expect(commands.isEnabled(CommandIDs.keepKernel)).toBe(false);
    api.kernelsAnswer = { ...api.kernelsAnswer, kernels: [aKernel({ idle_limit_s: 7200 })] };
    await quotas.refresh();
    expect(commands.isEnabled(CommandIDs.keepKernel)).toBe(true);
    await commands.execute(CommandIDs.keepKernel);
    expect(api.calls).toContain('keep k1');
    expect(Notification.manager.notifications.map(one => one.message)).toEqual([
      'Kept: the kernel ends after 2 h without use.'
    ]);
  });

  it('say why a kernel was not kept', async () => {
    api.kernelsAnswer = { ...api.kernelsAnswer, kernels: [aKernel({ idle_limit_s: 7200 })] };
    await quotas.refresh();
    api.failure = new ApiError('its life time is over', { nextStep: 'save your work' });
    await commands.execute(CommandIDs.keepKernel);
    expect(Notification.manager.notifications.map(one => one.message)).toEqual([
      'The kernel was not kept: its life time is over. Next step: save your work'
    ]);
  });

  it('choose a size', async () => {
    await commands.execute(CommandIDs.chooseProfile, { profile: 'large' });
    expect(api.calls).toContain('profile large');
    expect(shown).toEqual(['limits']);
    api.meAnswer = { ...api.meAnswer, profiles: api.meAnswer.profiles.slice(0, 1) };
    await quotas.reload();
    expect(commands.isEnabled(CommandIDs.chooseProfile)).toBe(true); // read with the view only
    quotas.visible = true;
    await quotas.reload();
    expect(commands.isEnabled(CommandIDs.chooseProfile)).toBe(false);
  });

  it('open the form that asks for more, where more can be asked for', async () => {
    expect(commands.isEnabled(CommandIDs.askForMore)).toBe(true);
    await commands.execute(CommandIDs.askForMore);
    expect(quotas.asking).toBe('');
    expect(shown).toEqual(['limits form select']);
  });

  it('read everything again', async () => {
    api.calls = [];
    await commands.execute(CommandIDs.refresh);
    expect(api.calls).toEqual(expect.arrayContaining(['kernels', 'requests', 'submissions']));
  });
});
