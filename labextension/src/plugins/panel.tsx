import { ILabShell, ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';
import { ITranslator, nullTranslator, TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { CommandIDs } from '../commands';
import { DOMAIN } from '../components/translation';
import { DatasetsView } from '../features/datasets/DatasetsView';
import { QuotasView } from '../features/quotas/QuotasView';
import { SubmitView } from '../features/submit/SubmitView';
import { shieldIcon } from '../icons';
import { GuardrailsSidePanel, ISection } from '../panel';
import { IGuardrails, IGuardrailsPanel, SectionId } from '../tokens';

const PLUGIN_ID = 'jupyter-guardrails:panel';
const SECTIONS: readonly SectionId[] = ['limits', 'datasets', 'submit'];

/** The panel at the right, its commands and its settings. */
export const panelPlugin: JupyterFrontEndPlugin<IGuardrailsPanel> = {
  id: PLUGIN_ID,
  description: 'The panel: limits, approved datasets, submit for production.',
  autoStart: true,
  requires: [IGuardrails],
  optional: [ITranslator, ILabShell, ICommandPalette, ILayoutRestorer, ISettingRegistry, IStateDB],
  provides: IGuardrailsPanel,
  activate: (
    app: JupyterFrontEnd,
    models: IGuardrails,
    translator: ITranslator | null,
    labShell: ILabShell | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    settings: ISettingRegistry | null,
    state: IStateDB | null
  ): IGuardrailsPanel => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const panel = new GuardrailsSidePanel({
      sections: makeSections(app, models, trans),
      notebooks: models.notebooks,
      translator: translator ?? nullTranslator
    });
    app.shell.add(panel, 'right', { rank: 700, type: 'Guardrails' });
    restorer?.add(panel, panel.id);
    const shown: IGuardrailsPanel = {
      get section() {
        return panel.section;
      },
      set section(section) {
        panel.section = section;
      },
      get isVisible() {
        return panel.isVisible;
      },
      show: section => {
        panel.section = section ?? panel.section;
        app.shell.activateById(panel.id);
        labShell?.expandRight();
      }
    };
    addCommands(app, models, shown, trans);
    const category = trans.__('Guardrails');
    for (const section of SECTIONS) {
      palette?.addItem({ command: CommandIDs.open, args: { section }, category });
    }
    palette?.addItem({ command: CommandIDs.refresh, category });
    void followSettings(settings, models);
    void rememberSection(state, panel);
    return shown;
  }
};

function makeSections(app: JupyterFrontEnd, models: IGuardrails, trans: TranslationBundle): ISection[] {
  const { quotas, datasets, submissions, notebooks } = models;
  const onNewNotebook = (): void => void app.commands.execute('notebook:create-new');
  return [
    {
      id: 'limits',
      label: trans.__('Limits'),
      model: quotas,
      render: () => <QuotasView model={quotas} notebooks={notebooks} />
    },
    {
      id: 'datasets',
      label: trans.__('Data'),
      model: datasets,
      render: () => <DatasetsView model={datasets} notebooks={notebooks} onNewNotebook={onNewNotebook} />
    },
    {
      id: 'submit',
      label: trans.__('Submit'),
      model: submissions,
      render: () => <SubmitView model={submissions} notebooks={notebooks} />
    }
  ];
}

function addCommands(
  app: JupyterFrontEnd,
  models: IGuardrails,
  panel: IGuardrailsPanel,
  trans: TranslationBundle
): void {
  const labels: Record<SectionId, string> = {
    limits: trans.__('Show Limits'),
    datasets: trans.__('Show Approved Data'),
    submit: trans.__('Show Production Submissions')
  };
  const sectionOf = (value: unknown): SectionId | undefined => SECTIONS.find(section => section === value);
  app.commands.addCommand(CommandIDs.open, {
    label: args => labels[sectionOf(args.section) ?? 'limits'],
    caption: trans.__('Limits, approved data, production'),
    icon: shieldIcon,
    describedBy: { args: { type: 'object', properties: { section: { type: 'string', enum: [...SECTIONS] } } } },
    execute: args => panel.show(sectionOf(args.section))
  });
  app.commands.addCommand(CommandIDs.refresh, {
    label: trans.__('Refresh Limits, Data and Submissions'),
    describedBy: { args: { type: 'object', properties: {} } },
    execute: async () => {
      await Promise.all([models.quotas.reload(), models.datasets.refresh(), models.submissions.refresh()]);
    }
  });
}

async function followSettings(registry: ISettingRegistry | null, models: IGuardrails): Promise<void> {
  const settings = await registry?.load(PLUGIN_ID);
  const apply = (): void => {
    models.quotas.pollSeconds = settings?.get('pollSeconds').composite as number;
    models.datasets.library = settings?.get('library').composite as string;
  };
  if (settings) {
    settings.changed.connect(apply);
    apply();
  }
}

/** The part in front survives a reload of the page. */
async function rememberSection(state: IStateDB | null, panel: GuardrailsSidePanel): Promise<void> {
  const key = `${PLUGIN_ID}:section`;
  const known = await state?.fetch(key);
  panel.section = SECTIONS.find(section => section === known) ?? panel.section;
  panel.sectionChanged.connect((_, section) => void state?.save(key, section));
}
