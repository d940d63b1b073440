import { Token } from '@lumino/coreutils';

import { DatasetModel } from './state/datasetModel';
import { PanelSettings } from './settings';
import { INotebooks } from './state/notebooks';
import { QuotaModel } from './state/quotaModel';
import { SubmissionModel } from './state/submissionModel';

/** The parts of the panel, in their order. */
export const SECTIONS = ['limits', 'datasets', 'submit'] as const;

/** One part of the panel. */
export type SectionId = (typeof SECTIONS)[number];

/** What all our plugins share: one model for each concern, so that nothing is asked twice. */
export interface IGuardrails {
  quotas: QuotaModel;
  datasets: DatasetModel;
  submissions: SubmissionModel;
  notebooks: INotebooks;
  settings: PanelSettings;
}

/** Token of the shared models. */
export const IGuardrails = new Token<IGuardrails>(
  'jupyter-guardrails:IGuardrails',
  'Limits, approved datasets and submissions of the person at this server.'
);

/** The panel, for those who want to show a part of it. */
export interface IGuardrailsPanel {
  /** The part in front. */
  section: SectionId;
  /** Whether it can be seen now. */
  readonly isVisible: boolean;
  /** Bring it to the front, with one of its parts. */
  show(section?: SectionId): void;
  /** As `show`, and move the keyboard's focus there: to what a selector finds in that part, else to its tab. */
  enter(section?: SectionId, selector?: string): void;
  /** Give the focus back to what is in front in the main area; false where the panel didn't have it. */
  leave(): boolean;
}

/** Token of the panel. */
export const IGuardrailsPanel = new Token<IGuardrailsPanel>(
  'jupyter-guardrails:IGuardrailsPanel',
  'The panel with limits, approved datasets and submissions.'
);
