import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { ApiError } from '../../api/errors';
import type { Kernel } from '../../api/generated/openapi';
import { Badge } from '../../components/Badge';
import { Meter } from '../../components/Meter';
import { ErrorNotice } from '../../components/Notice';
import { useTrans } from '../../components/translation';
import { baseName, bytes, digits, duration } from '../../format';
import { QuotaModel } from '../../state/quotaModel';
import { Countdown } from './Countdown';
import { KernelHistory } from './KernelHistory';

type Named = Pick<Kernel, 'kind' | 'kernelspec' | 'notebook'>;

/** What a person calls this kernel: its notebook, or what kind of thing it is. */
export function kernelTitle(kernel: Named, trans: TranslationBundle): string {
  const kinds: Record<Kernel['kind'], string> = {
    kernel: kernel.kernelspec,
    terminal: trans.__('Terminal'),
    clean_run: trans.__('Clean run'),
    exec: trans.__('Command')
  };
  return kernel.notebook ? baseName(kernel.notebook) : kinds[kernel.kind];
}

export interface IKernelCardProps {
  kernel: Kernel;
  model: QuotaModel;
  /** Whether it is that of the notebook in front. */
  current: boolean;
}

/** One kernel: memory now, at most and allowed, processor, and how long it has been idle. */
export function KernelCard({ kernel, model, current }: IKernelCardProps): React.JSX.Element {
  const trans = useTrans();
  const title = kernelTitle(kernel, trans);
  return (
    <article className="jp-Guardrails-card" data-current={current} aria-label={title}>
      <header className="jp-Guardrails-cardHead">
        <span className="jp-Guardrails-cardTitle" title={kernel.notebook ?? kernel.kernelspec}>
          {title}
          {current && <span className="jp-Guardrails-srOnly">{trans.__('(the notebook in front)')}</span>}
        </span>
        <Badge look={['plain', null, kernel.profile]} />
      </header>
      {kernel.state === 'starting' ? (
        <p className="jp-Guardrails-muted">{trans.__('Starting…')}</p>
      ) : (
        <>
          <Meter
            label={trans.__('Memory')}
            value={kernel.memory_bytes}
            max={kernel.memory_limit_bytes || null}
            peak={kernel.memory_peak_bytes}
            format={bytes}
          />
          <KernelFacts kernel={kernel} />
          <IdleTime kernel={kernel} model={model} />
          <KernelHistory kernel={kernel} model={model} />
        </>
      )}
    </article>
  );
}

function KernelFacts({ kernel }: { kernel: Kernel }): React.JSX.Element {
  const trans = useTrans();
  return (
    <dl className="jp-Guardrails-facts">
      <Fact name={trans.__('Peak')}>{bytes(kernel.memory_peak_bytes)}</Fact>
      <Fact name={trans.__('Processor')}>
        {trans._n('%2 of %1 core', '%2 of %1 cores', kernel.cpus, cores(kernel.cpu_percent))}
      </Fact>
      <Fact name={trans.__('Idle')}>{kernel.idle_s < 10 ? trans.__('no') : duration(kernel.idle_s, trans)}</Fact>
    </dl>
  );
}

/** How long an unused kernel stays, and the button that lets it stay longer. */
function IdleTime({ kernel, model }: { kernel: Kernel; model: QuotaModel }): React.JSX.Element | null {
  const trans = useTrans();
  const [error, setError] = React.useState<ApiError | null>(null);
  const left = model.idleLeft(kernel);
  if (typeof kernel.idle_limit_s !== 'number') {
    return null;
  }
  if (left === null) {
    return (
      <p className="jp-Guardrails-muted">
        {trans.__('Ends after %1 without use.', duration(kernel.idle_limit_s, trans))}
      </p>
    );
  }
  const keep = (): void => {
    setError(null);
    model.keep(kernel.id).catch((reason: unknown) => setError(ApiError.from(reason)));
  };
  const said = kernel.notices.some(({ can }) => can.includes('keep')); // its notice counts down, and has the button
  return (
    <>
      {!said && (
        <div className="jp-Guardrails-row">
          <Countdown label={trans.__('Ends without use in')} left={() => model.idleLeft(kernel) ?? 0} />
          <button
            type="button"
            className="jp-mod-styled jp-Guardrails-quiet"
            aria-label={trans.__('Keep %1', kernelTitle(kernel, trans))}
            onClick={keep}
          >
            {trans.__('Keep')}
          </button>
        </div>
      )}
      {error && <ErrorNotice error={error} title={trans.__('That did not work')} />}
    </>
  );
}

function Fact({ name, children }: { name: string; children: React.ReactNode }): React.JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** Per cent of one core as cores in use. */
function cores(percent: number): string {
  return digits(Math.round(percent / 10) / 10);
}
