import React from 'react';

import { useTrans } from '../../components/translation';
import { IParameter, Literal, valueLike } from '../../state/parameters';

type Values = Record<string, unknown>;

export interface IParametersPartProps {
  parameters: readonly IParameter[];
  values: Values;
  onChange: (values: Values) => void;
}

/** Values for the names of the cell tagged `parameters`; what is left empty stays as the notebook says it. */
export function ParametersPart({ parameters, values, onChange }: IParametersPartProps): React.JSX.Element {
  const trans = useTrans();
  if (parameters.length === 0) {
    return (
      <p className="jp-Guardrails-muted">
        {trans.__('No parameters: give one cell the tag “parameters” for what may change from run to run.')}
      </p>
    );
  }
  const set = (name: string, value: Literal | undefined): void => {
    const others = Object.entries(values).filter(([key]) => key !== name);
    onChange(Object.fromEntries(value === undefined ? others : [...others, [name, value]]));
  };
  return (
    <fieldset className="jp-Guardrails-parameters">
      <legend className="jp-Guardrails-label">{trans.__('Parameters')}</legend>
      {parameters.map(parameter => (
        <ParameterField
          key={parameter.name}
          parameter={parameter}
          value={values[parameter.name]}
          onChange={value => set(parameter.name, value)}
        />
      ))}
    </fieldset>
  );
}

/** A value as it was typed. */
function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

interface IParameterFieldProps {
  parameter: IParameter;
  value: unknown;
  onChange: (value: Literal | undefined) => void;
}

function ParameterField({ parameter, value, onChange }: IParameterFieldProps): React.JSX.Element {
  const trans = useTrans();
  const { name, value: fallback } = parameter;
  const typed = value === undefined ? '' : textOf(value);
  const type = (text: string): void => onChange(valueLike(fallback, text));
  return (
    <label className="jp-Guardrails-parameter">
      <code>{name}</code>
      {typeof fallback === 'boolean' ? (
        <select
          className="jp-mod-styled jp-Guardrails-select"
          value={typed}
          onChange={event => type(event.currentTarget.value)}
        >
          <option value="">{trans.__('as in the notebook: %1', String(fallback))}</option>
          <option value="true">{trans.__('true')}</option>
          <option value="false">{trans.__('false')}</option>
        </select>
      ) : (
        <input
          type={typeof fallback === 'number' ? 'number' : 'text'}
          step="any"
          className="jp-mod-styled"
          disabled={fallback === undefined}
          placeholder={fallback === undefined ? trans.__('worked out by the notebook') : String(fallback ?? '')}
          value={typed}
          onChange={event => type(event.currentTarget.value)}
        />
      )}
    </label>
  );
}
