import { keepFocus } from '../components/keepFocus';

describe('the focus of a part whose buttons come and go', () => {
  let root: HTMLElement;
  let end: () => void;
  const lost = jest.fn();
  const byId = (id: string): HTMLElement => document.getElementById(id) as HTMLElement;
  const settled = (): Promise<void> => new Promise(resolve => setTimeout(resolve));

  beforeEach(() => {
    lost.mockClear();
    document.body.innerHTML = `
      <button id="outside">outside</button>
      <div id="root">
        <section id="group"><button id="send">Send</button></section>
        <ul>
          <li id="first"><button id="a">a</button></li>
          <li id="second"><details><summary id="more">more</summary><button id="b">b</button></details></li>
          <li id="third"><button id="c">c</button></li>
        </ul>
      </div>`;
    root = byId('root');
    end = keepFocus(root, lost);
  });

  afterEach(() => end());

  it('goes to what takes the place of a removed row, and from the last one to the one before', async () => {
    byId('a').focus();
    byId('first').remove();
    await settled();
    expect(document.activeElement).toBe(byId('more'));
    byId('c').focus();
    byId('third').remove();
    await settled();
    expect(document.activeElement).toBe(byId('more')); // not b, which can't be seen
  });

  it('goes to what is around an emptied list', async () => {
    byId('a').focus();
    root.querySelector('ul')?.remove();
    await settled();
    expect(document.activeElement).toBe(byId('send'));
  });

  it('is handed on where nothing is left', async () => {
    byId('send').focus();
    root.replaceChildren();
    await settled();
    expect(lost).toHaveBeenCalledTimes(1);
  });

  it('waits beside a button that can not be used for a while, and comes back', async () => {
    const send = byId('send') as HTMLButtonElement;
    send.focus();
    send.disabled = true;
    send.blur(); // as Chromium does
    await settled();
    expect(document.activeElement).toBe(byId('group'));
    send.disabled = false;
    await settled();
    expect(document.activeElement).toBe(send);
  });

  it('is not taken from where a person went meanwhile', async () => {
    const send = byId('send') as HTMLButtonElement;
    send.focus();
    send.disabled = true;
    await settled();
    byId('outside').focus();
    send.disabled = false;
    byId('third').remove();
    await settled();
    expect(document.activeElement).toBe(byId('outside'));
  });

  it('is not taken back by a person who let go of it', async () => {
    byId('a').focus();
    byId('a').blur();
    await settled();
    byId('third').remove();
    await settled();
    expect(document.activeElement).toBe(document.body);
  });
});
