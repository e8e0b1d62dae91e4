import sys, pytest, json, pathlib
NB="/work/main/notebooks/01_regle_de_chainage.ipynb"
def shots(page, name):
    pg=page.page
    pg.set_viewport_size({"width":1300,"height":1300})
    pg.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
    pg.wait_for_timeout(800)
    h=pg.evaluate("()=>document.querySelector('.jp-WindowedPanel-outer').scrollHeight")
    y=0;i=0
    while True:
        pg.evaluate("(y)=>document.querySelector('.jp-WindowedPanel-outer').scrollTo(0,y)",y); pg.wait_for_timeout(900)
        pg.screenshot(path=str(page.server.captures/f"{name}-{page.theme}-{i:02d}.png"))
        h=pg.evaluate("()=>document.querySelector('.jp-WindowedPanel-outer').scrollHeight")
        y+=1180;i+=1
        if y>=h: break
    print(name,h,i)
@pytest.mark.parametrize("theme",["light","dark"])
def test_l1(lab, theme):
    with lab.open(NB, theme) as page:
        pg=page.page
        # before run : le widget range
        pg.wait_for_timeout(1500)
        before=pg.evaluate("()=>document.body.innerText.includes('model not found')||document.body.innerText.includes('Error displaying widget')")
        pg.evaluate("()=>{const e=document.querySelectorAll('.jp-Cell')[8]; e&&e.scrollIntoView()}"); pg.wait_for_timeout(1200)
        pg.screenshot(path=str(lab.captures/f"avant-{theme}.png"))
        print("erreur de widget avant exécution:",before, pg.locator('.jp-OutputArea img').count())
        assert page.run_all()==[]
        pg.wait_for_timeout(1000)
        shots(page,"apres")
        pg.evaluate("()=>{const e=document.querySelectorAll('.jp-Cell')[8]; e&&e.scrollIntoView()}"); pg.wait_for_timeout(800)
        print(page.violations(".chainage")); print(page.errors)
        print(page.violations(".jp-OutputArea img"))
