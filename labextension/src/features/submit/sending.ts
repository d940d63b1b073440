import type { TranslationBundle } from '@jupyterlab/translation';

import { ApiError } from '../../api/errors';
import { INotebooks } from '../../state/notebooks';
import { ISubmitOptions, SubmissionModel, TYPED_WRONG } from '../../state/submissionModel';

export interface ISendingProps {
  model: SubmissionModel;
  notebooks: INotebooks;
  trans: TranslationBundle;
}

/** Send the notebook in front with what was said about its job; nothing where a parameter is wrong, which is said at its field. */
export function send(
  path: string,
  { model, notebooks, trans }: ISendingProps,
  options: Omit<ISubmitOptions, 'save' | 'values' | 'details'>
): Promise<void> {
  const { details, typed = {} } = model.said(path);
  const values = async (): Promise<Record<string, unknown>> => {
    if (Object.keys(typed).length === 0) {
      return {};
    }
    const { parametersOf, valueFor } = await import(/* webpackChunkName: "job" */ '../../state/parameters');
    const found = parametersOf(notebooks.parameters()).map(one => ({ ...one, ...valueFor(one, typed) }));
    const wrong = found.filter(one => one.wrong).map(({ name }) => name);
    if (wrong.length > 0) {
      const fields = Object.fromEntries(wrong.map(name => [`parameters.${name}`, '']));
      throw new ApiError(trans.__('correct %1 under “About the job”', wrong.join(', ')), { code: TYPED_WRONG, fields });
    }
    return Object.fromEntries(found.filter(one => one.value !== undefined).map(one => [one.name, one.value]));
  };
  return model.submit(path, { ...options, details, values, save: () => notebooks.save() });
}

/** Values as they would be typed. */
export function typedAs(values: Readonly<Record<string, unknown>>): Record<string, string> {
  const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, text(value ?? 'none')]));
}
