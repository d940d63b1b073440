import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, InputDialog, Notification } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator, TranslationBundle } from '@jupyterlab/translation';

import { ApiError } from '../api/errors';
import { CommandIDs } from '../commands';
import { DOMAIN } from '../components/translation';
import { chooserTitle, profileTitle } from '../features/quotas/ProfileChooser';
import { duration } from '../format';
import { shieldIcon } from '../icons';
import { QuotaModel } from '../state/quotaModel';
import { IGuardrails, IGuardrailsPanel, SectionId, SECTIONS } from '../tokens';

const NO_ARGUMENTS = { args: { type: 'object', properties: {} } } as const;

/** JupyterLab's registry of commands. */
export type Commands = JupyterFrontEnd['commands'];

/** What the commands work on. */
export interface ICommandContext {
  models: IGuardrails;
  panel: IGuardrailsPanel;
  trans: TranslationBundle;
}

/** All that the panel can do without a pointer: for the palette, menus and shortcuts. */
export const commandsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-guardrails:commands',
  description: 'Commands for limits, approved data and submissions.',
  autoStart: true,
  requires: [IGuardrails, IGuardrailsPanel],
  optional: [ITranslator, ICommandPalette],
  activate: (
    { commands }: JupyterFrontEnd,
    models: IGuardrails,
    panel: IGuardrailsPanel,
    translator: ITranslator | null,
    palette: ICommandPalette | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const context = { models, panel, trans };
    addPanelCommands(commands, context);
    addKernelCommands(commands, context);
    const category = trans.__('Guardrails');
    for (const section of SECTIONS) {
      palette?.addItem({ command: CommandIDs.open, args: { section }, category });
    }
    const { insertDataset, keepKernel, chooseProfile, askForMore, refresh } = CommandIDs;
    for (const command of [insertDataset, keepKernel, chooseProfile, askForMore, refresh]) {
      palette?.addItem({ command, category });
    }
    models.notebooks.changed.connect(() => commands.notifyCommandChanged(insertDataset));
    models.quotas.stateChanged.connect(() => {
      [keepKernel, chooseProfile, askForMore].forEach(command => commands.notifyCommandChanged(command));
    });
  }
};

/** Those that show or read something. */
export function addPanelCommands(commands: Commands, { models, panel, trans }: ICommandContext): void {
  const labels: Record<SectionId, string> = {
    limits: trans.__('Show Limits'),
    datasets: trans.__('Show Approved Data'),
    submit: trans.__('Show Production Submissions')
  };
  const sectionOf = (value: unknown): SectionId | undefined => SECTIONS.find(section => section === value);
  commands.addCommand(CommandIDs.open, {
    label: args => labels[sectionOf(args.section) ?? panel.section],
    caption: trans.__('Limits, approved data, production'),
    icon: shieldIcon,
    describedBy: { args: { type: 'object', properties: { section: { type: 'string', enum: [...SECTIONS] } } } },
    execute: args => {
      const section = sectionOf(args.section);
      if (section !== undefined || !panel.leave()) {
        panel.enter(section);
      }
    }
  });
  commands.addCommand(CommandIDs.insertDataset, {
    label: trans.__('Insert Dataset…'),
    caption: trans.__('Search the approved data; Insert puts the code that reads it into the notebook in front'),
    icon: shieldIcon,
    describedBy: NO_ARGUMENTS,
    isEnabled: () => models.notebooks.path !== null,
    execute: () => panel.enter('datasets', 'input[type=search]')
  });
  commands.addCommand(CommandIDs.refresh, {
    label: trans.__('Refresh Limits, Data and Submissions'),
    caption: trans.__('Read limits, approved data and submissions from the server now'),
    describedBy: NO_ARGUMENTS,
    execute: async () => {
      await Promise.all([models.quotas.reload(), models.datasets.refresh(), models.submissions.refresh()]);
    }
  });
}

/** Those about the kernel in front, and about what the next one may use. */
export function addKernelCommands(commands: Commands, { models, panel, trans }: ICommandContext): void {
  const { quotas } = models;
  commands.addCommand(CommandIDs.keepKernel, {
    label: trans.__('Keep Kernel Awake'),
    caption: trans.__('Its idle time begins again: it does not end for being idle until that has passed'),
    icon: shieldIcon,
    describedBy: NO_ARGUMENTS,
    isEnabled: () => typeof quotas.current?.idle_limit_s === 'number',
    execute: () => keep(quotas, trans)
  });
  commands.addCommand(CommandIDs.chooseProfile, {
    label: trans.__('Choose Size of the Next Kernel…'),
    caption: trans.__('How much memory and how many processors kernels have that start from now on'),
    icon: shieldIcon,
    describedBy: { args: { type: 'object', properties: { profile: { type: 'string' } } } },
    isEnabled: () => (quotas.me?.profiles.length ?? 0) > 1,
    execute: async ({ profile }) => {
      const chosen = typeof profile === 'string' ? profile : await askForProfile(quotas, trans);
      if (chosen !== null) {
        await quotas.choose(chosen);
        panel.enter('limits');
      }
    }
  });
  commands.addCommand(CommandIDs.askForMore, {
    label: trans.__('Ask for More for a While…'),
    caption: trans.__('A bigger limit until a time; an admin decides'),
    icon: shieldIcon,
    describedBy: NO_ARGUMENTS,
    isEnabled: () => (quotas.me?.more.length ?? 0) > 0,
    execute: () => {
      quotas.asking = '';
      panel.enter('limits', 'form select');
    }
  });
}

async function keep(quotas: QuotaModel, trans: TranslationBundle): Promise<void> {
  const kernel = quotas.current;
  if (!kernel) {
    return;
  }
  try {
    await quotas.keep(kernel.id);
    const time = duration(kernel.idle_limit_s ?? 0, trans);
    Notification.success(trans.__('Kept: the kernel ends after %1 without use.', time), { autoClose: 5000 });
  } catch (reason) {
    const { message, nextStep } = ApiError.from(reason);
    const next = nextStep && trans.__('Next step: %1', nextStep);
    Notification.error([trans.__('The kernel was not kept: %1', message), next].filter(Boolean).join('. '));
  }
}

async function askForProfile(quotas: QuotaModel, trans: TranslationBundle): Promise<string | null> {
  const profiles = quotas.me?.profiles ?? [];
  const titles = profiles.map(profile => profileTitle(profile, trans));
  const { value } = await InputDialog.getItem({
    title: chooserTitle(quotas, trans),
    items: titles,
    current: Math.max(
      0,
      profiles.findIndex(({ name }) => name === quotas.chosen)
    ),
    okLabel: trans.__('Choose')
  });
  return value === null ? null : (profiles[titles.indexOf(value)]?.name ?? null);
}
