import { MimeData } from '@lumino/coreutils';
import { Drag } from '@lumino/dragdrop';

/** What a notebook makes cells of. */
const CELLS = 'application/vnd.jupyter.cells';
/** What an editor inserts where it is dropped. */
const TEXT = 'text/plain';
/** Less is a click, pixels. */
const THRESHOLD = 5;
const EVENTS = ['lm-dragenter', 'lm-dragleave', 'lm-dragover', 'lm-drop'] as const;

/** What is dragged: `codeFor` gives the code for the place below the pointer; null where none fits. */
export interface IDragged {
  name: string;
  codeFor: (place: Element) => string | null;
  /** Called when it has become a cell. */
  onCell: (place: Element) => void;
  /** Called when it was dropped where nothing took it. */
  onRefused: (place: Element | null) => void;
}

/** Begin to drag once the pointer has moved; a click stays a click. */
export function dragAfterMove(start: PointerEvent, dragged: IDragged): void {
  const waiting = new AbortController();
  const whole = new AbortController();
  const move = (event: PointerEvent): void => {
    if (Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY) >= THRESHOLD) {
      waiting.abort();
      void drag(event, dragged).finally(() => whole.abort());
    }
  };
  const end = (): void => {
    waiting.abort();
    whole.abort();
  };
  document.addEventListener('pointermove', move, { signal: waiting.signal, capture: true });
  document.addEventListener('pointerup', end, { signal: waiting.signal, capture: true });
  document.addEventListener('pointercancel', end, { signal: waiting.signal, capture: true });
  // What the pointer passes over is no text that is being marked.
  document.addEventListener('selectstart', event => event.preventDefault(), { signal: whole.signal, capture: true });
}

/** Over an editor it is text for that place, elsewhere in a notebook a new cell: told anew at each place, before anybody looks. */
async function drag({ clientX, clientY }: PointerEvent, { name, codeFor, onCell, onRefused }: IDragged): Promise<void> {
  const mimeData = new MimeData();
  const last: { place: Element | null } = { place: null };
  const offer = (event: Event): void => {
    const place = event.target as Element;
    last.place = event.type === 'lm-dragleave' ? last.place : place;
    mimeData.clear();
    const code = codeFor(place);
    if (code === null) {
      return;
    }
    if (!isEditor(place)) {
      mimeData.setData(CELLS, [cellOf(code)]);
    }
    mimeData.setData(TEXT, code);
  };
  const lumino = new Drag({
    mimeData,
    dragImage: imageOf(name),
    supportedActions: 'copy',
    proposedAction: 'copy'
  });
  for (const type of EVENTS) {
    document.addEventListener(type, offer, { capture: true });
  }
  const action = await lumino.start(clientX, clientY);
  for (const type of EVENTS) {
    document.removeEventListener(type, offer, { capture: true });
  }
  if (action === 'none') {
    onRefused(last.place);
  } else if (last.place && !isEditor(last.place)) {
    onCell(last.place);
  }
}

function isEditor(place: Element): boolean {
  return place.closest('.jp-Editor') !== null;
}

/** A new cell; its code is ours, as that of *Insert*. */
function cellOf(source: string): object {
  return { cell_type: 'code', source, metadata: { trusted: true }, outputs: [], execution_count: null };
}

function imageOf(name: string): HTMLElement {
  const image = document.createElement('div');
  image.className = 'jp-Guardrails-dragImage';
  image.textContent = name;
  return image;
}
